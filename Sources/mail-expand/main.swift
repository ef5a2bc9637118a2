import CommandArguments
import CommandKit

CommandMain.run(Expand.self)
