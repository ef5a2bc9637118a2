// Owns: the two log lines that tell what became of a recipient, with OpenSMTPD's words in its order, because
// administrators' tools read them. Refuses: writing them, every other line.

import MailModel

/// What both lines tell. `evpid` is the queue ID and the recipient's number where OpenSMTPD has its envelope ID.
public struct DeliveryLogLine: Hashable, Sendable {
    /// The session's number; written as 16 digits of hexadecimal.
    public var session: UInt64
    public var id: QueueID
    /// The recipient's number in the envelope, from 0.
    public var recipientNumber: Int
    public var reversePath: ReversePath
    /// Where the mail went.
    public var destination: Mailbox
    /// The recipient as the sender gave it, when an alias made `destination` of it.
    public var original: Mailbox?
    /// From arrival to now.
    public var delay: Duration
    public var result: AttemptResult
    /// The peer's last reply, or our own sentence.
    public var reply: String

    public init(
        session: UInt64, id: QueueID, recipientNumber: Int, reversePath: ReversePath, destination: Mailbox,
        original: Mailbox? = nil, delay: Duration, result: AttemptResult, reply: String
    ) {
        self.session = session
        self.id = id
        self.recipientNumber = recipientNumber
        self.reversePath = reversePath
        self.destination = destination
        self.original = original
        self.delay = delay
        self.result = result
        self.reply = reply
    }

    /// A delivery over the network.
    /// - Parameters:
    ///   - source: our address of the connection; nil or empty when there was none.
    ///   - relay: the peer as `host/address`; empty when nobody was reached.
    public func mta(source: String?, relay: String) -> String {
        let ours = source.flatMap { $0.isEmpty ? nil : $0 } ?? "-"
        return head("mta") + " rcpt=<\(address(original) ?? "-")> source=\(EscapedText.quoted(ours))"
            + " relay=\(EscapedText.quoted(relay)) delay=\(delay.logDescription)"
            + " result=\"\(result)\" stat=\(EscapedText.quoted(reply))"
    }

    /// A delivery on this machine, to `user`. Nothing is quoted: that is how the line is known.
    public func mda(user: String) -> String {
        head("mda") + (address(original).map { " rcpt=<\($0)>" } ?? "") + " user=\(EscapedText.plain(user))"
            + " delay=\(delay.logDescription) result=\(result) stat=\(EscapedText.plain(reply))"
    }

    private func head(_ agent: String) -> String {
        "\(SessionNumber.text(session)) \(agent) delivery evpid=\(id).\(recipientNumber)"
            + " from=<\(address(reversePath.mailbox) ?? "")> to=<\(address(destination) ?? "")>"
    }

    private func address(_ mailbox: Mailbox?) -> String? { mailbox.map { EscapedText.plain($0.description) } }
}

/// Sessions are named by 16 digits of hexadecimal at the start of their lines.
public enum SessionNumber {
    public static func text(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
