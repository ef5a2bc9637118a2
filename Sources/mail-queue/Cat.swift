// Owns: `mail-queue cat`: the content of one message, whole or not at all. Refuses: its envelope (Show).

import ArgumentParser
import CommandKit
import MailModel
import QueueKit

struct Cat: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the content of a message.",
        discussion: "The whole message is verified before its first octet is printed.")

    @Argument(help: ArgumentHelp("The queue ID or its beginning.", valueName: "id"))
    var prefix: String

    @Flag(help: "Keep the line ends of the wire, CR LF.")
    var raw = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        let spool = try common.openSpool()
        let found = try FoundMessage(prefix, in: spool)
        do {
            try read(found) { _ in }
            var lines = LocalLineEnds()
            try read(found) { try StandardOutput.write(bytes: raw ? $0 : lines.convert($0)) }
            try StandardOutput.write(bytes: lines.rest())
        } catch let failure as CommandFailure {
            // Delivered meanwhile, its place is written over: that is no damage.
            guard failure.status == .dataError else { throw failure }
            _ = try FoundMessage(found.message.id.description, in: spool)
            throw failure
        }
    }

    private func read(_ found: FoundMessage, each: ([UInt8]) throws -> Void) throws {
        guard let content = found.snapshot.content(of: found.message.id) else { return }
        while let piece = try queueCall({ () throws(QueueError) in try content.next() }) { try each(piece) }
    }
}

/// CR LF as LF, over the borders of pieces; a CR that stands alone stays.
struct LocalLineEnds {
    private var hasCR = false

    mutating func convert(_ piece: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(piece.count + 1)
        for byte in piece {
            if hasCR, byte != 10 { result.append(13) }
            hasCR = byte == 13
            if !hasCR { result.append(byte) }
        }
        return result
    }

    /// The CR that was waiting for its LF at the very end.
    mutating func rest() -> [UInt8] {
        defer { hasCR = false }
        return hasCR ? [13] : []
    }
}
