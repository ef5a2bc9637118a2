// Owns: everything about a message as lines for a person. Refuses: cutting: here the whole reply can be read.

import CommandKit
import MailModel
import QueueKit

struct ShowText {
    let message: MessageSummary
    let now: Timestamp

    init(_ message: MessageSummary, now: Timestamp) { (self.message, self.now) = (message, now) }

    func lines() throws(CommandFailure) -> [String] {
        let envelope = message.envelope
        var lines = [
            line("Queue ID", message.id.description),
            line("State", state),
            line("Arrival", "\(envelope.arrival.iso8601), \(now.since(envelope.arrival).logDescription) ago"),
            line("Size", "\(message.size) octets"),
            line("Sender", "<\(envelope.reversePath)>"),
            line("Origin", try origin),
        ]
        lines += requests.map { line("Asked for", $0) }
        lines.append(line("Place", message.place))
        for recipient in message.recipients { lines += self.lines(recipient) }
        return lines
    }

    private func line(_ label: String, _ text: String) -> String {
        let name = "\(label):"
        return name + String(repeating: " ", count: max(1, 11 - name.count)) + EscapedText.plain(text)
    }

    private var state: String {
        var text = message.state.rawValue
        if let reason = message.heldReason { text += ": \(reason)" }
        if let next = message.nextAttempt, message.state == .deferred { text += ", next attempt \(next.iso8601)" }
        return text
    }

    private var origin: String {
        get throws(CommandFailure) {
            switch message.envelope.origin {
            case .submission(let uid):
                let name = try Accounts.user(id: uid)?.name
                return "submitted by uid \(uid)" + (name.map { " (\($0))" } ?? "")
            case .notification(let about): return "a DSN of ours about \(about)"
            case .session(let session): return Self.origin(session)
            }
        }
    }

    private static func origin(_ session: SessionOrigin) -> String {
        var text = "received from \(session.clientAddress)"
        if session.clientPort > 0 { text += " port \(session.clientPort)" }
        if !session.helo.isEmpty { text += ", helo \(session.helo)" }
        if let user = session.user { text += ", authenticated as \(user)" }
        if session.tls { text += ", over TLS" }
        if let tag = session.tag { text += ", tag \(tag)" }
        return text
    }

    /// What the sender asked of those who carry the message.
    private var requests: [String] {
        let envelope = message.envelope
        var words: [String] = []
        if envelope.body == .eightBitMIME { words.append("BODY=8BITMIME") }
        if envelope.smtpUTF8 { words.append("SMTPUTF8") }
        if let content = envelope.returnContent { words.append("RET=\(content == .full ? "FULL" : "HDRS")") }
        if let id = envelope.envelopeID { words.append("ENVID=\(id)") }
        return words.isEmpty ? [] : [words.joined(separator: " ")]
    }

    private func lines(_ recipient: MessageSummary.RecipientSummary) -> [String] {
        var text = "<\(recipient.recipient.forwardPath)> \(recipient.status.word)"
        if let original = recipient.recipient.originalRecipient { text += ", ORCPT=\(original)" }
        if let notify = recipient.recipient.notify { text += ", NOTIFY=\(notify.words.joined(separator: ","))" }
        return ["Recipient \(recipient.number): " + EscapedText.plain(text)] + recipient.attempts.flatMap(lines)
    }

    private func lines(_ attempt: Attempt) -> [String] {
        var place = attempt.relay.isEmpty ? "nobody reached" : "relay \(attempt.relay)"
        if !attempt.source.isEmpty { place += " from \(attempt.source)" }
        return [
            "    \(attempt.time.iso8601) \(attempt.result) \(attempt.status) \(EscapedText.plain(place))",
            "        \(EscapedText.plain(attempt.reply))",
        ]
    }
}
