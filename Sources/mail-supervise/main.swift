import CommandArguments
import CommandKit

CommandMain.run(Supervise.self)
