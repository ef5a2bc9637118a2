import CommandArguments
import CommandKit

CommandMain.run(Relay.self)
