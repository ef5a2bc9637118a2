// Owns: making the header of a submitted message whole (RFC 6409 §8, RFC 5322 §3.6), and the recipients that -t finds in
// it. Refuses: reading it (HeaderScanner), the body, the envelope.

import MailModel

/// What is known about a submission besides its text.
public struct SubmissionFacts: Sendable {
    /// For the From field of a message without one: the reverse-path, or the caller's own mailbox when that is null.
    public var sender: Mailbox
    /// `-F` or the name of the account; nil for none.
    public var fullName: String?
    /// The real uid of the caller.
    public var uid: UInt32
    /// Completes bare names, `root` -> `root@domain`.
    public var domain: String
    public var hostname: String
    public var queueID: QueueID
    public var now: Timestamp
    /// Of local time, east of UTC.
    public var offsetMinutes: Int
    /// Random; letters and digits are used.
    public var messageIDToken: String
    /// `-t`: recipients come from the header, and Bcc leaves it.
    public var takesRecipients: Bool

    public init(
        sender: Mailbox, fullName: String? = nil, uid: UInt32, domain: String, hostname: String, queueID: QueueID,
        now: Timestamp, offsetMinutes: Int = 0, messageIDToken: String, takesRecipients: Bool = false
    ) {
        self.sender = sender
        self.fullName = fullName
        self.uid = uid
        self.domain = domain
        self.hostname = hostname
        self.queueID = queueID
        self.now = now
        self.offsetMinutes = offsetMinutes
        self.messageIDToken = messageIDToken
        self.takesRecipients = takesRecipients
    }
}

/// The completed header. In order: a Received line that names the uid; the fields that came, untouched but for bare
/// names; what was missing. Return-Path leaves it (RFC 5321 §4.4: only final delivery adds one).
///
/// With `-t` Bcc and Resent-Bcc leave it as well; without, they stay as they came: the caller named the recipients and
/// the header is his, as with sendmail.
///
/// A message with Resent- fields is resent (RFC 5322 §3.6.6): `-t` then reads the recipients of the topmost block of
/// them, which is the newest and reaches down to the first Resent- name that comes again, and not To, Cc and Bcc.
/// Resent-Date, Resent-From and Resent-Message-ID are added to that block when it lacks them.
public struct SubmissionHeader: Sendable {
    /// The header with the empty line that ends it.
    public private(set) var bytes: [UInt8] = []
    /// What `-t` found, in order, each once; empty without `-t`.
    public private(set) var recipients: [Mailbox] = []
    /// Addresses that `-t` found and can't use, printable; a caller refuses the message for them (65).
    public private(set) var malformed: [String] = []

    private static let addressFields: Set<String> = ["from", "sender", "reply-to", "to", "cc", "bcc"]
    private static let recipientFields: Set<String> = ["to", "cc", "bcc"]

    private let facts: SubmissionFacts
    private var seen: Set<Mailbox> = []

    public init(completing header: HeaderScanner, facts: SubmissionFacts) {
        self.facts = facts
        let newest = Self.newestResentBlock(header.fields)
        let isNewest = Set(newest)
        bytes += received.utf8
        for (index, field) in header.fields.enumerated() {
            if index == newest.first { bytes += missing(in: header, newest, prefix: "Resent-").utf8 }
            add(field, of: header, givesRecipients: newest.isEmpty ? !Self.isResent(field) : isNewest.contains(index))
        }
        bytes += missing(in: header, Array(header.fields.indices), prefix: "").utf8
        bytes += [13, 10]
    }

    // MARK: Fields that came

    private mutating func add(_ field: HeaderScanner.Field, of header: HeaderScanner, givesRecipients: Bool) {
        let name = field.name.lowercased()
        let base = name.hasPrefix("resent-") ? String(name.dropFirst(7)) : name
        guard name != "return-path" else { return }
        guard Self.addressFields.contains(base) else {
            bytes += header.bytes[field.range]
            return
        }
        let value = Array(header.bytes[field.value])
        let list = AddressList(value)
        if facts.takesRecipients, givesRecipients, Self.recipientFields.contains(base) { collect(list, from: value) }
        if facts.takesRecipients, base == "bcc" { return }
        bytes += header.bytes[field.range.lowerBound..<field.value.lowerBound]
        bytes += completed(value, list)
        bytes += [13, 10]
    }

    /// The value with `@domain` behind each bare name, all else as it was.
    private func completed(_ value: [UInt8], _ list: AddressList) -> [UInt8] {
        var out: [UInt8] = []
        var copied = 0
        for case .bare(let name) in list.elements where Mailbox(localPart: name.local, domain: facts.domain) != nil {
            out += value[copied..<name.end]
            out += "@\(facts.domain)".utf8
            copied = name.end
        }
        return out + value[copied...]
    }

    private mutating func collect(_ list: AddressList, from value: [UInt8]) {
        for element in list.elements {
            switch element {
            case .mailbox(let mailbox): insert(mailbox)
            case .bare(let name):
                if let mailbox = Mailbox(localPart: name.local, domain: facts.domain) {
                    insert(mailbox)
                } else {
                    malformed.append(PeerText.printable(name.local, limit: 200))
                }
            case .malformed(let range): malformed.append(PeerText.printable(value[range], limit: 200))
            }
        }
        if list.isCut { malformed.append("more than \(AddressList.elementLimit) addresses in one field") }
    }

    private mutating func insert(_ mailbox: Mailbox) {
        if seen.insert(mailbox).inserted { recipients.append(mailbox) }
    }

    // MARK: Fields that are added

    /// RFC 5321 §4.4 with the `from` left out, as there was no connection; the comment names who brought the message.
    private var received: String {
        "Received: by \(HeaderText.domain(facts.hostname)) (Pouch, from userid \(facts.uid))\r\n"
            + "\tid \(facts.queueID); \(MailDate.text(facts.now, offsetMinutes: facts.offsetMinutes))\r\n"
    }

    /// RFC 5322 §3.6 requires Date and From, and Message-ID should be there. From with several mailboxes needs a Sender
    /// (§3.6.2). In a resent block the same holds of their Resent- twins (§3.6.6).
    private func missing(in header: HeaderScanner, _ indices: [Int], prefix: String) -> String {
        func first(_ name: String) -> HeaderScanner.Field? {
            indices.lazy.map { header.fields[$0] }.first { $0.isNamed(prefix + name) }
        }
        var out = ""
        if first("Date") == nil {
            out += "\(prefix)Date: \(MailDate.text(facts.now, offsetMinutes: facts.offsetMinutes))\r\n"
        }
        if let from = first("From") {
            if first("Sender") == nil, AddressList(Array(header.bytes[from.value])).elements.count > 1 {
                out += "\(prefix)Sender: \(facts.sender)\r\n"
            }
        } else {
            out += "\(prefix)From: \(author)\r\n"
        }
        if first("Message-ID") == nil {
            // A message that is resent and has no identifier gets two: they must differ (RFC 5322 §3.6.4).
            let token = HeaderText.token(facts.messageIDToken) + (prefix.isEmpty ? "" : ".resent")
            out += "\(prefix)Message-ID: <\(token)@\(HeaderText.domain(facts.hostname))>\r\n"
        }
        return out
    }

    private var author: String {
        guard let name = facts.fullName.flatMap({ HeaderText.phrase($0) }) else { return facts.sender.description }
        let separator = name.utf8.count > HeaderText.usualLine - 20 ? "\r\n " : " "
        return "\(name)\(separator)<\(facts.sender)>"
    }

    // MARK: Resent blocks

    private static func isResent(_ field: HeaderScanner.Field) -> Bool { field.name.lowercased().hasPrefix("resent-") }

    /// Places of the Resent- fields from the first down to the first whose name comes again.
    private static func newestResentBlock(_ fields: [HeaderScanner.Field]) -> [Int] {
        var names: Set<String> = []
        var block: [Int] = []
        for (index, field) in fields.enumerated() where isResent(field) {
            guard names.insert(field.name.lowercased()).inserted else { return block }
            block.append(index)
        }
        return block
    }
}
