// Owns: what a journal can say of the messages of one segment, and its bytes. Refuses: files, and what the entries add
// up to (MessageState).

import MailModel

/// A message is named by its offset in the segment that the journal belongs to; a recipient by its number.
enum JournalEntry: Hashable, Sendable {
    /// The closed segment's messages, so that a start need not scan it.
    case index([IndexRow])
    /// An attempt, with what the recipient is now, and when the next attempt is due unless it is final.
    case attempt(message: Int64, recipient: UInt32, Attempt, DeliveryStatus)
    /// The message's next attempt.
    case scheduled(message: Int64, Timestamp)
    /// An alias replaced the recipient by others, numbered on from the last.
    case expanded(message: Int64, recipient: UInt32, into: [Recipient])
    case held(message: Int64, reason: String)
    case released(message: Int64)
    /// An operator wants it out as soon as what is under way with it is over.
    case removing(message: Int64)
    /// Taken out by an operator.
    case removed(message: Int64)
    /// Damaged; its bytes are in `quarantine/`.
    case quarantined(message: Int64)
    /// So many delay DSNs were sent about the message.
    case warned(message: Int64, count: UInt32)
    /// Its copy elsewhere, of a higher generation, is the message now.
    case moved(message: Int64)
    /// The message counts as this generation, whatever its envelope says: a copy on its way came too late.
    case generation(message: Int64, UInt32)
    /// Beside the index: what the message brought along when it was moved here. It comes before all other entries.
    case carried(message: Int64, [JournalEntry])

    /// Octets kept of an attempt's texts: all together fit the room reserved for a result (Queue.resultSpace).
    static let replyLimit = 1000
    static let nameLimit = 300

    private enum Tag: UInt8 {
        case index = 1, attempt, scheduled, expanded, held, released, removed, quarantined, warned, moved, generation,
            carried, removing
    }

    func append(to out: inout FieldWriter) {
        switch self {
        case .index(let rows): out.field(Tag.index.rawValue) { out in rows.forEach { $0.append(to: &out) } }
        case .attempt(let message, let recipient, let attempt, let status):
            out.field(Tag.attempt.rawValue, Self.encode(message, recipient, attempt, status))
        case .scheduled(let message, let time):
            out.field(Tag.scheduled.rawValue, Self.bytes(message, time.milliseconds))
        case .expanded(let message, let recipient, let into):
            var body = FieldWriter()
            for new in into { body.field(1) { $0.append(new) } }
            out.field(Tag.expanded.rawValue, Self.bytes(message, Int64(recipient)) + body.bytes)
        case .held(let message, let reason):
            out.field(Tag.held.rawValue, Self.bytes(message) + Array(reason.utf8))
        case .released(let message): out.field(Tag.released.rawValue, message)
        case .removing(let message): out.field(Tag.removing.rawValue, message)
        case .removed(let message): out.field(Tag.removed.rawValue, message)
        case .quarantined(let message): out.field(Tag.quarantined.rawValue, message)
        case .warned(let message, let count): out.field(Tag.warned.rawValue, Self.bytes(message, Int64(count)))
        case .moved(let message): out.field(Tag.moved.rawValue, message)
        case .generation(let message, let number):
            out.field(Tag.generation.rawValue, Self.bytes(message, Int64(number)))
        case .carried(let message, let entries):
            out.field(Tag.carried.rawValue) { out in
                out.append(Self.bytes(message))
                entries.forEach { $0.append(to: &out) }
            }
        }
    }

    private static func bytes(_ numbers: Int64...) -> [UInt8] {
        var out: [UInt8] = []
        for number in numbers { out.appendInteger(number) }
        return out
    }

    private static func encode(
        _ message: Int64, _ recipient: UInt32, _ attempt: Attempt, _ status: DeliveryStatus
    ) -> [UInt8] {
        var out = bytes(message, attempt.time.milliseconds)
        out.appendInteger(recipient)
        out += [status.rawValue, attempt.result.rawValue, UInt8(attempt.status.statusClass)]
        out.appendInteger(UInt16(attempt.status.subject))
        out.appendInteger(UInt16(attempt.status.detail))
        var texts = FieldWriter()
        texts.field(1, attempt.reply.utf8.prefix(replyLimit))
        for text in [attempt.relay, attempt.source] { texts.field(1, text.utf8.prefix(nameLimit)) }
        return out + texts.bytes
    }

    /// Reads one entry; nil when it is not one of ours.
    ///
    /// - Parameter isNested: inside another one, where none may hold entries itself: hostile bytes make no deep nest.
    private init?(tag: UInt8, _ content: ArraySlice<UInt8>, isNested: Bool) {
        switch Tag(rawValue: tag) {
        case nil: return nil
        case .index:
            guard !isNested, let rows = IndexRow.readAll(content) else { return nil }
            self = .index(rows)
        case .attempt:
            guard let attempt = Self.readAttempt(content) else { return nil }
            self = attempt
        case .scheduled:
            guard let message: Int64 = content.integer(), let time: Int64 = content.integer(at: 8) else { return nil }
            self = .scheduled(message: message, Timestamp(milliseconds: time))
        case .expanded:
            guard let expanded = Self.readExpanded(content) else { return nil }
            self = expanded
        case .held:
            guard let message: Int64 = content.integer(), let reason = content.dropFirst(8).text else { return nil }
            self = .held(message: message, reason: reason)
        case .released:
            guard let message: Int64 = content.integer() else { return nil }
            self = .released(message: message)
        case .removing:
            guard let message: Int64 = content.integer() else { return nil }
            self = .removing(message: message)
        case .removed:
            guard let message: Int64 = content.integer() else { return nil }
            self = .removed(message: message)
        case .quarantined:
            guard let message: Int64 = content.integer() else { return nil }
            self = .quarantined(message: message)
        case .warned:
            guard let message: Int64 = content.integer(), let count: UInt32 = content.integer(at: 8) else { return nil }
            self = .warned(message: message, count: count)
        case .moved:
            guard let message: Int64 = content.integer() else { return nil }
            self = .moved(message: message)
        case .generation:
            guard let message: Int64 = content.integer(), let number: UInt32 = content.integer(at: 8) else {
                return nil
            }
            self = .generation(message: message, number)
        case .carried:
            guard !isNested, let message: Int64 = content.integer(),
                let entries = Self.readAll(content.dropFirst(8), isNested: true)
            else { return nil }
            self = .carried(message: message, entries)
        }
    }

    private static func readAttempt(_ content: ArraySlice<UInt8>) -> JournalEntry? {
        guard let message: Int64 = content.integer(), let time: Int64 = content.integer(at: 8),
            let recipient: UInt32 = content.integer(at: 16), let rawStatus: UInt8 = content.integer(at: 20),
            let status = DeliveryStatus(rawValue: rawStatus), let rawResult: UInt8 = content.integer(at: 21),
            let result = AttemptResult(rawValue: rawResult), let statusClass: UInt8 = content.integer(at: 22),
            let subject: UInt16 = content.integer(at: 23), let detail: UInt16 = content.integer(at: 25),
            let code = EnhancedStatusCode("\(statusClass).\(subject).\(detail)")
        else { return nil }
        var fields = FieldReader(content.dropFirst(27))
        var texts: [String] = []
        while let (_, text) = fields.next() { texts.append(String(decoding: text, as: UTF8.self)) }
        guard texts.count == 3 else { return nil }
        let attempt = Attempt(
            time: Timestamp(milliseconds: time), result: result, status: code, reply: texts[0], relay: texts[1],
            source: texts[2])
        return .attempt(message: message, recipient: recipient, attempt, status)
    }

    private static func readExpanded(_ content: ArraySlice<UInt8>) -> JournalEntry? {
        guard let message: Int64 = content.integer(), let recipient: Int64 = content.integer(at: 8),
            let number = UInt32(exactly: recipient)
        else { return nil }
        var fields = FieldReader(content.dropFirst(16))
        var into: [Recipient] = []
        while let (_, field) = fields.next() {
            guard let new = StoredEnvelope.recipient(field) else { return nil }
            into.append(new)
        }
        return fields.isMalformed ? nil : .expanded(message: message, recipient: number, into: into)
    }

    /// All entries of a frame; nil when any is not ours: a frame counts whole or not at all.
    static func readAll(_ payload: ArraySlice<UInt8>, isNested: Bool = false) -> [JournalEntry]? {
        var fields = FieldReader(payload)
        var entries: [JournalEntry] = []
        while let (tag, content) = fields.next() {
            guard let entry = JournalEntry(tag: tag, content, isNested: isNested) else { return nil }
            entries.append(entry)
        }
        return fields.isMalformed ? nil : entries
    }
}
