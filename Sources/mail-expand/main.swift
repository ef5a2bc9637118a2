import CommandKit

CommandMain.run(Expand.self)
