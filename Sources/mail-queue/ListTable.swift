// Owns: a message as lines of a table that fits 80 columns. Refuses: which messages; everything else about one (Show).

import CommandKit
import MailModel
import QueueKit

enum ListTable {
    static let width = 80
    /// Recipients, and what was said about them, stand further in.
    private static let recipientIndent = "    "
    private static let replyIndent = "        "

    static let header = row("Queue ID", "Size", "Age", "State", "Tries", "Sender and recipients")

    static func lines(_ message: MessageSummary, now: Timestamp) -> [String] {
        let age = now.since(message.envelope.arrival)
        let tries = String(message.attemptCount)
        var lines = [
            row(
                message.id.description, size(message.size), shortAge(age), message.state.rawValue, tries,
                address(message.envelope.reversePath))
        ]
        if let reason = message.heldReason { lines.append(fitting("held: \(reason)", recipientIndent)) }
        for recipient in message.outstanding {
            lines.append(fitting("\(recipient.recipient.forwardPath)", recipientIndent))
            if let last = recipient.attempts.last { lines.append(fitting(last.reply, replyIndent)) }
        }
        return lines
    }

    /// The null reverse-path as the standards write it.
    static func address(_ path: ReversePath) -> String { path.mailbox?.description ?? "<>" }

    private static func row(
        _ id: String, _ size: String, _ age: String, _ state: String, _ tries: String, _ sender: String
    ) -> String {
        let columns = [
            padded(id, 20), padded(size, 6, right: true), padded(age, 6, right: true), padded(state, 9),
            padded(tries, 5, right: true),
        ]
        return fitting(sender, columns.joined(separator: " ") + "  ")
    }

    private static func padded(_ text: String, _ width: Int, right: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - text.count))
        return right ? blanks + text : text + blanks
    }

    /// Hostile text behind what stands before it, escaped, and cut with `...` where the line would be too long.
    private static func fitting(_ text: String, _ before: String) -> String {
        let shown = EscapedText.plain(text)
        let room = width - before.count
        return before + (shown.count <= room ? shown : shown.prefix(room - 3) + "...")
    }

    /// At most six characters: `999`, `12.3K`, `35.0M`.
    static func size(_ octets: Int64) -> String {
        guard octets >= 1000 else { return String(octets) }
        var tenths = octets / 100
        for unit in ["K", "M", "G"] {
            if unit != "K" { tenths /= 1000 }
            if tenths < 9995 || unit == "G" { return "\(tenths / 10).\(tenths % 10)\(unit)" }
        }
        return String(octets)
    }

    /// The two largest parts: `3d4h`, `12m5s`.
    static func shortAge(_ age: Duration) -> String {
        let seconds = max(0, age.components.seconds)
        switch seconds {
        case 0..<3600: return Duration.seconds(seconds).logDescription
        case 3600..<86400: return Duration.seconds(seconds / 60 * 60).logDescription
        case 86400..<8_640_000: return Duration.seconds(seconds / 3600 * 3600).logDescription
        default: return Duration.seconds(seconds / 86400 * 86400).logDescription
        }
    }
}
