import CommandKit

CommandMain.run(Supervise.self)
