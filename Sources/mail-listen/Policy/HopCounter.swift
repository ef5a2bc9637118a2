// Owns: counting the Received lines of a message while it passes. Refuses: keeping any of it.

import MailModel
import SMTPProtocol

/// RFC 5321 §6.3: a simple count of Received lines is the way to find loops, and at least 100 must be let pass.
///
/// Only the first 64 KiB of a header are read: each round of a loop adds its line at the top, so a hundred of them, of a
/// few hundred octets each, stand there. Bytes come cut anywhere.
struct HopCounter: Sendable {
    static let limit = 100
    static let headerLimit = 64 << 10
    static let reply = Reply(
        554, EnhancedStatusCode(5, 4, 6), "Too many hops: the message seems to go round in a loop")

    private static let name = Array("received".utf8)

    private enum Position {
        /// So many octets of the name stand at the start of the line.
        case name(Int)
        /// The name is complete; blanks may stand before the colon (RFC 5322 §4.5).
        case afterName
        /// A CR began the line: perhaps the empty one that ends the header.
        case emptyLine
        case otherText
        case body
    }

    private var position = Position.name(0)
    private var octets = 0
    private(set) var count = 0

    var isLoop: Bool { count > Self.limit }

    mutating func read(_ bytes: [UInt8]) {
        if case .body = position { return }
        for octet in bytes {
            octets += 1
            step(octet)
            if octets >= Self.headerLimit { position = .body }
            if case .body = position { return }
        }
    }

    private mutating func step(_ octet: UInt8) {
        switch (position, octet) {
        case (.body, _): break
        case (.emptyLine, 10): position = .body
        case (_, 10): position = .name(0)
        case (.name(0), 13): position = .emptyLine
        case (.name(let matched), _):
            guard octet | 32 == Self.name[matched] else { return position = .otherText }
            position = matched + 1 == Self.name.count ? .afterName : .name(matched + 1)
        case (.afterName, UInt8(ascii: ":")):
            count += 1
            position = .otherText
        case (.afterName, 32), (.afterName, 9): break
        case (.afterName, _), (.emptyLine, _), (.otherText, _): position = .otherText
        }
    }
}
