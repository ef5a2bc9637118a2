// Owns: the envelope record's payload. Refuses: trusting it: what does not read back whole is no envelope.

import MailModel

/// An envelope as the spool keeps it, with what only the spool needs.
struct StoredEnvelope: Hashable, Sendable {
    var envelope: Envelope
    /// Raised by the runner alone, each time it moves a message: of two copies the higher one counts.
    var generation: UInt32 = 0
    /// For a picked-up drop: the stamp of the drop's segment, so that the drop found again is known for what it is.
    var dropStamp: UInt64?
    /// For a moved message: what was known of it, which must be durable together with it. It counts in `queue/` only.
    var carried: [JournalEntry] = []

    /// Of one message: in memory each takes some hundred octets.
    static let recipientLimit = 50_000

    private enum Tag: UInt8 {
        case id = 1, arrival, reversePath, recipient, submission, session, notification, body, smtpUTF8,
            returnContent, envelopeID, held, generation, dropStamp, carried
    }

    fileprivate enum RecipientTag: UInt8 { case path = 1, original, notify, action }
    private enum SessionTag: UInt8 { case address = 1, port, helo, tag, user, tls }

    var bytes: [UInt8] {
        var out = FieldWriter(capacity: 256 + 128 * envelope.recipients.count)
        out.field(Tag.id.rawValue, envelope.id.bytes)
        out.field(Tag.arrival.rawValue, envelope.arrival.milliseconds)
        if let mailbox = envelope.reversePath.mailbox { out.field(Tag.reversePath.rawValue) { $0.append(mailbox) } }
        for recipient in envelope.recipients { out.field(Tag.recipient.rawValue) { $0.append(recipient) } }
        encodeOrigin(&out)
        if envelope.body != .sevenBit { out.field(Tag.body.rawValue, envelope.body.rawValue) }
        if envelope.smtpUTF8 { out.field(Tag.smtpUTF8.rawValue, UInt8(1)) }
        if let content = envelope.returnContent { out.field(Tag.returnContent.rawValue, content.rawValue) }
        if let id = envelope.envelopeID { out.field(Tag.envelopeID.rawValue, id) }
        if envelope.held { out.field(Tag.held.rawValue, UInt8(1)) }
        if generation != 0 { out.field(Tag.generation.rawValue, generation) }
        if let dropStamp { out.field(Tag.dropStamp.rawValue, dropStamp) }
        if !carried.isEmpty { out.field(Tag.carried.rawValue) { out in carried.forEach { $0.append(to: &out) } } }
        return out.bytes
    }

    /// The bytes, once it is certain that a reader will take them.
    ///
    /// - Throws: QueueError `.refused` without recipients, or with more than a record can hold.
    func checkedBytes() throws(QueueError) -> [UInt8] {
        guard !envelope.recipients.isEmpty else {
            throw QueueError(
                .refused, "store message \(envelope.id)", explanation: "it has no recipients. Name one at least.")
        }
        guard envelope.recipients.count <= Self.recipientLimit else {
            throw QueueError(
                .refused, "store message \(envelope.id)",
                explanation: "it has \(envelope.recipients.count) recipients; \(Self.recipientLimit) are the most. "
                    + "Send it to fewer recipients at a time.")
        }
        let bytes = bytes
        guard bytes.count <= RecordHeader.payloadLimit else {
            throw QueueError(
                .refused, "store message \(envelope.id)",
                explanation: "its envelope takes \(bytes.count) octets; \(RecordHeader.payloadLimit) are the most. "
                    + "Send it to fewer recipients at a time.")
        }
        return bytes
    }

    private func encodeOrigin(_ out: inout FieldWriter) {
        switch envelope.origin {
        case .submission(let uid): out.field(Tag.submission.rawValue, uid)
        case .notification(let about): out.field(Tag.notification.rawValue, about.bytes)
        case .session(let session):
            out.field(Tag.session.rawValue) { out in
                out.field(SessionTag.address.rawValue, session.clientAddress)
                out.field(SessionTag.port.rawValue, session.clientPort)
                out.field(SessionTag.helo.rawValue, session.helo)
                if let tag = session.tag { out.field(SessionTag.tag.rawValue, tag) }
                if let user = session.user { out.field(SessionTag.user.rawValue, user) }
                if session.tls { out.field(SessionTag.tls.rawValue, UInt8(1)) }
            }
        }
    }

    private static func mailbox(_ bytes: ArraySlice<UInt8>) -> Mailbox? {
        guard let end = bytes.firstIndex(of: 0), let domain = bytes[..<end].text,
            let local = bytes[(end + 1)...].text
        else { return nil }
        return Mailbox(localPart: local, domain: domain)
    }

    static func recipient(_ bytes: ArraySlice<UInt8>) -> Recipient? {
        var fields = FieldReader(bytes)
        var path: Mailbox?
        var (original, notify, action): (String?, NotifyConditions?, String?) = (nil, nil, nil)
        while let (tag, content) = fields.next() {
            switch RecipientTag(rawValue: tag) {
            case .path: path = mailbox(content)
            case .original: original = content.text
            case .notify: notify = content.first.map(NotifyConditions.init(rawValue:))
            case .action: action = content.text
            case nil: return nil
            }
        }
        guard !fields.isMalformed, let path else { return nil }
        return Recipient(path, originalRecipient: original, notify: notify, action: action)
    }

    private static func session(_ bytes: ArraySlice<UInt8>) -> SessionOrigin? {
        var fields = FieldReader(bytes)
        var origin = SessionOrigin(clientAddress: "")
        while let (tag, content) = fields.next() {
            switch SessionTag(rawValue: tag) {
            case .address: origin.clientAddress = content.text ?? ""
            case .port: origin.clientPort = content.integer() ?? 0
            case .helo: origin.helo = content.text ?? ""
            case .tag: origin.tag = content.text
            case .user: origin.user = content.text
            case .tls: origin.tls = true
            case nil: return nil
            }
        }
        return fields.isMalformed ? nil : origin
    }

    /// Reads `bytes`; nil unless every field is whole, known and of its kind, and the needed ones are there.
    init?(_ bytes: [UInt8]) {
        var fields = FieldReader(bytes)
        var (id, arrival, origin): (QueueID?, Int64?, Origin?) = (nil, nil, nil)
        var result = Envelope(
            id: QueueID(now: Timestamp(milliseconds: 0), random: 0), arrival: Timestamp(milliseconds: 0),
            reversePath: .null, recipients: [], origin: .submission(uid: 0))
        while let (tag, content) = fields.next() {
            switch Tag(rawValue: tag) {
            case .id: id = QueueID(bytes: content)
            case .arrival: arrival = content.integer()
            case .reversePath:
                guard let mailbox = Self.mailbox(content) else { return nil }
                result.reversePath = .mailbox(mailbox)
            case .recipient:
                guard result.recipients.count < Self.recipientLimit, let recipient = Self.recipient(content) else {
                    return nil
                }
                result.recipients.append(recipient)
            case .submission: origin = content.integer().map { .submission(uid: $0) }
            case .session: origin = Self.session(content).map { .session($0) }
            case .notification: origin = QueueID(bytes: content).map { .notification(about: $0) }
            case .body: result.body = content.first.flatMap(BodyKind.init(rawValue:)) ?? .eightBitMIME
            case .smtpUTF8: result.smtpUTF8 = true
            case .returnContent: result.returnContent = content.first.flatMap(ReturnContent.init(rawValue:))
            case .envelopeID: result.envelopeID = content.text
            case .held: result.held = true
            case .generation: generation = content.integer() ?? 0
            case .dropStamp: dropStamp = content.integer()
            case .carried:
                guard let entries = JournalEntry.readAll(content, isNested: true) else { return nil }
                carried = entries
            case nil: return nil
            }
        }
        guard !fields.isMalformed, let id, let arrival, let origin, !result.recipients.isEmpty else { return nil }
        (result.id, result.arrival, result.origin) = (id, Timestamp(milliseconds: arrival), origin)
        envelope = result
    }

    init(
        _ envelope: Envelope, generation: UInt32 = 0, dropStamp: UInt64? = nil, carried: [JournalEntry] = []
    ) {
        (self.envelope, self.generation, self.dropStamp, self.carried) = (envelope, generation, dropStamp, carried)
    }
}

extension FieldWriter {
    /// A recipient's fields, in an envelope and where an alias expanded.
    mutating func append(_ recipient: Recipient) {
        typealias Tag = StoredEnvelope.RecipientTag
        field(Tag.path.rawValue) { $0.append(recipient.forwardPath) }
        if let original = recipient.originalRecipient { field(Tag.original.rawValue, original) }
        if let notify = recipient.notify { field(Tag.notify.rawValue, notify.rawValue) }
        if let action = recipient.action { field(Tag.action.rawValue, action) }
    }

    /// Domain, NUL, local-part: no quoting that would have to be undone.
    fileprivate mutating func append(_ mailbox: Mailbox) {
        append(mailbox.domain.utf8)
        append(CollectionOfOne(0))
        append(mailbox.localPart.utf8)
    }
}
