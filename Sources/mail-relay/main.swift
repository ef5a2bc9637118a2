import CommandArguments
import CommandKit

// One delivery, as the recipient's user: the agent starts it, nobody else.
if CommandLine.arguments.dropFirst().first == "--deliver" { DeliveryChild.main() }

CommandMain.run(Relay.self)
