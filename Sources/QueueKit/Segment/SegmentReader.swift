// Owns: finding the messages of a segment, and telling a torn tail from damage. Refuses: locks, deciding what becomes
// of damage (Recovery), sending content anywhere (MessageContent).

import MailModel

/// A message as it stands in a segment.
struct StoredMessage: Hashable, Sendable {
    var offset: Int64
    /// Of its first content record (or, with no content, of its commit record).
    var contentOffset: Int64
    /// The next message begins here at the earliest.
    var end: Int64
    /// Octets of content.
    var contentLength: Int64
    var stored: StoredEnvelope

    var envelope: Envelope { stored.envelope }
    var id: QueueID { stored.envelope.id }
}

/// Blocks that ought to be a message and are not.
struct Damage: Hashable, Sendable {
    var range: Range<Int64>
    /// Known when the envelope still reads.
    var id: QueueID?
}

struct SegmentScan: Sendable {
    var messages: [StoredMessage] = []
    /// Below the largest offset known durable: mail that was promised.
    var damage: [Damage] = []
    /// Where the last whole message ends.
    var end: Int64
    /// The largest offset that any commit record, or the hint, called durable.
    var durable: Int64
}

/// Reads one segment. Records are checked against the segment's own ID, so nothing else in the file passes for mail.
struct SegmentReader {
    let file: OpenFile
    let header: SegmentHeader
    /// Of a sealed segment.
    let secret: SegmentSecret?
    private let stamp: UInt64
    /// The committed offset of the header when it was opened.
    let hint: Int64

    /// - Parameters:
    ///   - place: where the file lies, which says who may have written it.
    ///   - keys: what opens it, if it is sealed.
    ///   - known: its secret, found before: finding it costs more than reading a message.
    /// - Throws: QueueError `.corrupt` when neither block of the header is whole, or a sealed one is not authentic;
    ///   `.newerFormat` for a file that this program must leave alone; `.unknownKey` for one that must wait for its key.
    init(
        _ file: OpenFile, in place: SpoolLayout.Place, keys: KeyRing?, known: SegmentSecret? = nil
    ) throws(QueueError) {
        let (header, start) = try Self.header(of: file)
        self.file = file
        self.header = header
        stamp = header.stamp
        hint = SegmentHeader.readHint(start.dropFirst(SegmentHeader.hintOffset)) ?? SegmentHeader.firstRecord
        if let known, known.isOf(header) {
            secret = known
        } else if header.flags.contains(.sealed) {
            secret = try QueueError.onSegment("read \(file.path)") { () throws(SealError) in
                guard let keys else { throw .unknownKey(header) }
                return try keys.open(header, in: place)
            }
        } else {
            secret = nil
        }
    }

    /// The header in clear, and the 1,024 bytes it stands in.
    static func header(of file: OpenFile) throws(QueueError) -> (SegmentHeader, start: [UInt8]) {
        let start = try file.read(Int(SegmentHeader.firstRecord), at: 0)
        if let header = SegmentHeader.read(start) { return (header, start) }
        guard !SegmentHeader.isNewer(start) else {
            throw QueueError(
                .newerFormat, "read \(file.path)",
                explanation: "it was written by a newer Pouch. Install that again; its messages wait.")
        }
        throw QueueError(.corrupt, "read \(file.path)", explanation: "neither of its two headers is whole.")
    }

    /// The committed offset as it stands now; nil when it is being written this moment.
    func committedOffset() throws(QueueError) -> Int64? {
        SegmentHeader.readHint(try file.read(16, at: Int64(SegmentHeader.hintOffset))[...])
    }

    /// More pieces of damage in one segment are not told apart.
    static let damageLimit = 64

    /// Reads the messages between `from` and `limit`.
    ///
    /// - Parameters:
    ///   - limit: the committed offset of a living writer (who may claim anything), or the file's size.
    ///   - verifyingContent: checks every content record too, as recovery of a dead writer's segment must.
    ///   - durable: an offset known durable from elsewhere than the header as it was when opened.
    ///   - contentLimit: a message with more octets of content is broken, and is read no further.
    func scan(
        from: Int64, limit: Int64, verifyingContent: Bool, durable: Int64 = 0, contentLimit: Int64 = .max
    ) throws(QueueError) -> SegmentScan {
        let window = FileWindow(file)
        let limit = min(limit, try file.size())
        // Each byte is looked at once or twice when all is well.
        window.budget = 8 * max(0, limit - from) + (1 << 20)
        var result = SegmentScan(end: from, durable: max(hint, durable))
        var bad: [Damage] = []
        var position = from
        while position < limit {
            let verifier = RecordVerifier(header, secret, messageOffset: position, contentLimit: contentLimit)
            switch try message(at: position, limit: limit, verifyingContent, window, verifier) {
            case .whole(let message, let durable):
                result.messages.append(message)
                result.durable = max(result.durable, durable)
                position = message.end
                result.end = position
            case .broken(let id):
                let giveUp = bad.count >= Self.damageLimit || window.budget < 0
                let next = giveUp ? limit : try nextStart(after: position, limit: limit, window)
                bad.append(Damage(range: position..<next, id: id))
                position = next
            }
        }
        result.damage = bad.filter { $0.range.lowerBound < result.durable }
        return result
    }

    /// The message that begins at `offset`, its content not checked; nil when it is not what was written.
    func message(at offset: Int64) throws(QueueError) -> StoredMessage? {
        let window = FileWindow(file, size: 16 << 10)
        let verifier = RecordVerifier(header, secret, messageOffset: offset)
        let found = try message(at: offset, limit: try file.size(), false, window, verifier)
        guard case .whole(let message, _) = found else { return nil }
        return message
    }

    /// Where the blocks of a broken message end: the next message's start, or the end of the file.
    func endOfBroken(at offset: Int64) throws(QueueError) -> Int64 {
        try nextStart(after: offset, limit: try file.size(), FileWindow(file))
    }

    private enum Finding {
        case whole(StoredMessage, durable: Int64)
        case broken(QueueID?)
    }

    private func message(
        at offset: Int64, limit: Int64, _ verifyingContent: Bool, _ window: FileWindow,
        _ verifier: consuming RecordVerifier
    ) throws(QueueError) -> Finding {
        guard let (first, payload) = try record(at: offset, order: 0, limit, true, window, &verifier),
            first.kind == .envelope, let stored = StoredEnvelope(payload)
        else { return .broken(nil) }
        let broken = Finding.broken(stored.envelope.id)
        var position = offset + Int64(first.wholeLength)
        let contentOffset = position
        var (order, skipped): (UInt32, Int64) = (1, 0)
        while true {
            guard
                let (record, payload) = try record(
                    at: position, order: order, limit, verifyingContent, window, &verifier)
            else { return broken }
            position += Int64(record.wholeLength)
            order &+= 1
            switch record.kind {
            case .content: skipped += Int64(record.payloadLength)
            case .envelope: return broken
            case .commit:
                // What compressed content gives is known once it was read.
                let length = verifyingContent ? verifier.given : header.flags.contains(.compressed) ? nil : skipped
                guard let commit = CommitRecord(payload), length == nil || length == commit.contentLength else {
                    return broken
                }
                let message = StoredMessage(
                    offset: offset, contentOffset: contentOffset, end: position.alignedToBlock,
                    contentLength: commit.contentLength, stored: stored)
                return .whole(message, durable: commit.durableOffset)
            }
        }
    }

    /// A record at its place in a message. Content is only read and checked when `verifying`, and not given.
    private func record(
        at offset: Int64, order: UInt32, _ limit: Int64, _ verifying: Bool, _ window: FileWindow,
        _ verifier: inout RecordVerifier
    ) throws(QueueError) -> (RecordHeader, [UInt8])? {
        guard let start = try window.bytes(at: offset, count: RecordHeader.length, limit: limit),
            let header = verifier.header(start, order: order)
        else { return nil }
        guard verifying || header.kind != .content else {
            return offset + Int64(header.wholeLength) <= limit ? (header, []) : nil
        }
        guard let whole = try window.bytes(at: offset, count: header.wholeLength, limit: limit),
            let payload = try verifier.payload(header, whole)
        else { return nil }
        return (header, header.kind == .content ? [] : payload)
    }

    /// The next block after `offset` that looks like the start of a message of this segment.
    private func nextStart(after offset: Int64, limit: Int64, _ window: FileWindow) throws(QueueError) -> Int64 {
        // There is one message, so none comes after it.
        if header.flags.contains(.single) { return limit }
        var position = (offset + 1).alignedToBlock
        while position < limit {
            if let start = try window.bytes(at: position, count: RecordHeader.length, limit: limit),
                let header = RecordHeader(start), header.kind == .envelope, header.order == 0,
                header.stamp == stamp, header.messageOffset == position
            {
                return position
            }
            position += 512
        }
        return limit
    }

    /// The content of a message that `scan` found.
    func content(of message: StoredMessage) -> MessageContent {
        MessageContent(
            file, message,
            RecordVerifier(
                header, secret, messageOffset: message.offset, contentLimit: message.contentLength))
    }
}
