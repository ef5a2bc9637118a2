// Owns: `mail-queue show`: everything that is known about one message. Refuses: its content (Cat).

import ArgumentParser
import CommandKit
import MailModel
import QueueKit

struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows all about a message: envelope, origin, every attempt.")

    @Argument(help: ArgumentHelp("The queue ID or its beginning.", valueName: "id"))
    var prefix: String

    @Flag(help: "One JSON object on one line.")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        let message = try FoundMessage(prefix, in: common.openSpool()).message
        var output = OutputLines()
        if json {
            try output.add(MessageJSON.whole(message).rendered)
        } else {
            for line in try ShowText(message, now: SystemClock().now()).lines() { try output.add(line) }
        }
        try output.flush()
    }
}
