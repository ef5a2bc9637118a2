// Stands in for the command until the queue runner joins: --deliver and --agent alone.

import CommandKit
import Logging
import Routing

if CommandLine.arguments.dropFirst().first == "--deliver" { DeliveryChild.main() }

CommandMain.run {
    guard CommandLine.arguments.count >= 4, CommandLine.arguments[1] == "--agent", CommandLine.arguments[2] == "-C"
    else {
        throw CommandFailure(.usage, "usage: mail-relay --agent -C FILE")
    }
    Hardening.setUmask(0o022)
    let sockets = try InheritedSocket.takeAll()
    let readiness = try Readiness()
    do {
        let (configuration, _) = try Configuration.locate(option: CommandLine.arguments[3])
        return try Agent.run(
            configuration: configuration, sockets: sockets, readiness: readiness, log: .pouch("mail-relay"))
    } catch let error as ConfigurationError {
        throw CommandFailure(.configuration, error.description)
    }
}
