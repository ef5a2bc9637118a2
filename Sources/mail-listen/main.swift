import CommandArguments
import CommandKit

CommandMain.run(Listen.self)
