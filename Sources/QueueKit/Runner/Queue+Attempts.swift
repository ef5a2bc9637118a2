// Owns: an attempt from due to recorded. Refuses: where mail goes and what peers say.

import HeapModule
import MailModel

/// A message that may be tried now: its envelope, its content, the recipients that are left.
public struct DueMessage {
    public struct Outstanding: Hashable, Sendable {
        public var number: Int
        public var recipient: Recipient

        public init(number: Int, recipient: Recipient) { (self.number, self.recipient) = (number, recipient) }
    }

    public let envelope: Envelope
    /// Octets of content.
    public let size: Int64
    public let outstanding: [Outstanding]
    /// How often it was tried before.
    public let attempts: Int
    /// How many delay DSNs were sent about it.
    public let warnings: Int
    private let reader: SegmentReader
    private let message: StoredMessage

    init(
        _ reader: SegmentReader, _ message: StoredMessage, outstanding: [Outstanding], attempts: Int, warnings: Int
    ) {
        (self.reader, self.message) = (reader, message)
        (envelope, size) = (message.envelope, message.contentLength)
        (self.outstanding, self.attempts, self.warnings) = (outstanding, attempts, warnings)
    }

    /// A new reading of the content from its start.
    public func content() -> MessageContent { reader.content(of: message) }

    /// The content as a thing to read elsewhere, any number of times.
    public var stored: StoredContent { StoredContent(reader, message) }
}

/// Where a message's content is. May be handed to another thread and read there, each reading from its start.
public struct StoredContent: Sendable {
    private let reader: SegmentReader
    private let message: StoredMessage

    init(_ reader: SegmentReader, _ message: StoredMessage) { (self.reader, self.message) = (reader, message) }

    public func reading() -> MessageContent { reader.content(of: message) }
}

/// What became of one recipient in an attempt.
public struct RecipientOutcome: Hashable, Sendable {
    public var number: Int
    public var attempt: Attempt
    public var status: DeliveryStatus

    public init(number: Int, attempt: Attempt, status: DeliveryStatus) {
        (self.number, self.attempt, self.status) = (number, attempt, status)
    }
}

extension Queue {
    /// What an attempt's result may take in the journal, for each recipient.
    static let resultSpace: Int64 = 2048

    /// When the next message is due, by the monotonic clock in milliseconds; nil when none waits.
    public var nextDue: Int64? {
        dropStale()
        return due.min?.due
    }

    private func dropStale() {
        while let first = due.min {
            if let row = rows[first.id], row.due == first.due, !row.isHeld, !row.inFlight,
                !awaitingDrop.contains(first.id), moving[first.id] == nil
            {
                return
            }
            due.removeMin()
        }
    }

    /// The messages that are due, oldest first; each is then in flight until `finish`.
    public func takeDue(limit: Int) -> [QueueID] {
        readNotes()
        let now = clock.monotonic()
        var taken: [QueueID] = []
        while taken.count < limit {
            dropStale()
            guard let first = due.min, first.due <= now else { break }
            due.removeMin()
            rows[first.id]?.inFlight = true
            if let name = rows[first.id]?.segment { segments[name]?.inFlight += 1 }
            taken.append(first.id)
        }
        return taken
    }

    /// Opens a message that `takeDue` gave, with room reserved for the results of an attempt.
    ///
    /// - Throws: QueueError. `.corrupt`: the message went to quarantine and is the queue's no more. `.missing`: its
    ///   segment is gone, and its messages with it. Anything else: the message is back in the queue for later.
    public func open(_ id: QueueID) throws(QueueError) -> DueMessage {
        guard let row = rows[id], let segment = segments[row.segment] else {
            throw QueueError(.unknownMessage, "open message \(id)")
        }
        do throws(QueueError) {
            let (reader, message) = try storedMessage(row)
            let outstanding = outstanding(message, segment.states[row.offset])
            try reserve(results: outstanding.count + 1, of: row.offset, segment)
            return DueMessage(
                reader, message, outstanding: outstanding, attempts: Int(row.attempts), warnings: Int(row.warnings))
        } catch {
            switch error.kind {
            case .corrupt: quarantineMessage(id, row, segment)
            case .missing: lose(segment)
            default: postpone(id)
            }
            throw error
        }
    }

    /// The queue mirrors the disk: a segment that somebody took away is known no more. Should it come back, so do its
    /// messages and their journal.
    func lose(_ segment: TrackedSegment) {
        for (id, row) in rows where row.segment == segment.name { rows[id] = nil }
        segments[segment.name] = nil
        segment.journalFailed = false
        if moveJournal?.segment == segment.name { moveJournal = nil }
    }

    private func outstanding(_ message: StoredMessage, _ state: MessageState?) -> [DueMessage.Outstanding] {
        let own = message.envelope.recipients
        guard let state else {
            return own.enumerated().map { .init(number: $0.offset, recipient: $0.element) }
        }
        let all = own + state.expansions
        return zip(all.indices, all).filter { state.statuses.indices.contains($0.0) && !state.statuses[$0.0].isFinal }
            .map { .init(number: $0.0, recipient: $0.1) }
    }

    /// What can't be opened now is tried again after the first pause, or goes if somebody ordered that meanwhile.
    private func postpone(_ id: QueueID) {
        guard var row = rows[id] else { return }
        if let segment = segments[row.segment] {
            release(of: row.offset, segment)
            if row.removalAsked, (try? write([.removed(message: row.offset)], segment)) != nil {
                return forget(id, row, segment, wasInFlight: true)
            }
        }
        row.inFlight = false
        row.due = clock.monotonic() + options.schedule.pause(afterAttempts: 1, jitter: 0).milliseconds
        rows[id] = row
        segments[row.segment]?.inFlight -= 1
        due.insert(DueEntry(due: row.due, id: id))
    }

    /// Moves a message aside whose content turned out to be damaged while it was read (`MessageContent.next` threw
    /// `.corrupt`): in place of `finish`, or nothing would end its attempts. No final dot was sent for it.
    public func setAside(_ id: QueueID) {
        guard let row = rows[id], let segment = segments[row.segment], row.inFlight else { return }
        quarantineMessage(id, row, segment)
    }

    private func quarantineMessage(_ id: QueueID, _ row: MessageRow, _ segment: TrackedSegment) {
        let reason = "Message \(id) is damaged where it is stored."
        do throws(QueueError) {
            if let file = try segment.store.open(segment.name) {
                try quarantine.copy(
                    message: row.offset..<(try end(of: row, file, segment)), of: file,
                    as: "\(segment.name).\(row.offset)",
                    reason: reason
                )
            }
            try write([.quarantined(message: row.offset)], segment)
            report(.quarantined(name: "\(segment.name).\(row.offset)", reason: reason))
            forget(id, row, segment, wasInFlight: true)
        } catch {
            report(.failed(error))
            postpone(id)
        }
    }

    /// Where a damaged message's bytes end at the latest.
    private func end(
        of row: MessageRow, _ file: OpenFile, _ segment: TrackedSegment
    ) throws(QueueError) -> Int64 {
        do throws(QueueError) {
            return try reader(file, segment).endOfBroken(at: row.offset)
        } catch {
            // With its header gone too nothing tells messages apart any more.
            guard error.kind == .corrupt else { throw error }
            return max(row.offset, min(try file.size(), row.offset + Spares.segmentSize))
        }
    }

    /// Replaces a recipient by those an alias expanded to; gives their numbers.
    public func expand(_ id: QueueID, recipient: Int, into new: [Recipient]) throws(QueueError) -> Range<Int> {
        guard let row = rows[id], let segment = segments[row.segment] else {
            throw QueueError(.unknownMessage, "expand a recipient of \(id)")
        }
        let entry = JournalEntry.expanded(message: row.offset, recipient: UInt32(recipient), into: new)
        // Room first: what the journal says must be what memory knows, or numbers would mean other recipients later.
        try reserve(results: new.count, of: row.offset, segment)
        try write([entry], segment)
        var state = state(row, segment)
        let first = state.statuses.count
        state.apply(entry)
        remember(state, row.offset, segment)
        return first..<first + new.count
    }

    private func state(_ row: MessageRow, _ segment: TrackedSegment) -> MessageState {
        segment.states[row.offset] ?? MessageState(recipientCount: Int(row.recipientCount), held: row.isHeld)
    }

    /// Writes results of an attempt that is still under way for other recipients.
    ///
    /// - Throws: QueueError when they could not be written now. The queue knows them all the same, and writes them
    ///   before any further attempt of this segment's messages.
    public func record(_ id: QueueID, _ outcomes: [RecipientOutcome]) throws(QueueError) {
        guard let row = rows[id], let segment = segments[row.segment], !outcomes.isEmpty else { return }
        let entries = outcomes.map {
            JournalEntry.attempt(message: row.offset, recipient: UInt32($0.number), $0.attempt, $0.status)
        }
        var state = state(row, segment)
        // The only reference to its lists: applying must not copy them for each recipient.
        segment.states[row.offset] = nil
        for entry in entries { state.apply(entry) }
        segment.states[row.offset] = state
        release(results: outcomes.count, of: row.offset, segment)
        var failure: QueueError?
        // Each part fits a frame.
        for start in stride(from: 0, to: entries.count, by: 1000) {
            let part = Array(entries[start..<min(start + 1000, entries.count)])
            do throws(QueueError) { try writeCertainly(part, segment) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Ends an attempt: the message is final and goes, or it gets its next time.
    ///
    /// - Returns: when it is tried next, by the wall clock; nil when it is final (or removed meanwhile).
    @discardableResult
    public func finish(_ id: QueueID) throws(QueueError) -> Timestamp? {
        // After `open` failed the message is back already.
        guard var row = rows[id], let segment = segments[row.segment], row.inFlight else { return nil }
        var state = state(row, segment)
        if row.removalAsked {
            do throws(QueueError) {
                try write([.removed(message: row.offset)], segment)
            } catch {
                postpone(id)
                throw error
            }
            state.apply(.removed(message: row.offset))
        }
        release(of: row.offset, segment)
        guard !state.isFinal else {
            forget(id, row, segment, wasInFlight: true)
            return nil
        }
        segment.inFlight -= 1
        row.inFlight = false
        row.attempts = row.attempts == .max ? .max : row.attempts + 1
        let pause = options.schedule.pause(afterAttempts: Int(row.attempts), jitter: Double.random(in: 0...1))
        row.due = clock.monotonic() + pause.milliseconds
        let next = clock.now().advanced(by: pause)
        rows[id] = row
        if !row.isHeld { due.insert(DueEntry(due: row.due, id: id)) }
        remember(state, row.offset, segment)
        try write([.scheduled(message: row.offset, next)], segment)
        if segment.inFlight == 0 { segment.journal?.rest() }
        return next
    }

    /// Takes note of a delay DSN that is durable; so many were sent now. A message that is gone needs no note.
    public func markWarned(_ id: QueueID, count: Int) throws(QueueError) {
        guard let row = rows[id], let segment = segments[row.segment] else { return }
        try write([.warned(message: row.offset, count: UInt32(clamping: count))], segment)
        rows[id]?.warnings = UInt8(clamping: count)
    }

    func forget(_ id: QueueID, _ row: MessageRow, _ segment: TrackedSegment, wasInFlight: Bool) {
        rows[id] = nil
        release(of: row.offset, segment)
        segment.states[row.offset] = nil
        segment.remaining -= 1
        if wasInFlight { segment.inFlight -= 1 }
        if segment.inFlight == 0 { segment.journal?.rest() }
        retireIfDone(segment)
    }

    /// Stores a message of our own. A message with this queue ID that exists already is a success: a DSN's ID is
    /// derived from what it is about.
    ///
    /// - Parameter done: told from another thread once it is durable, or why it is not.
    public func submit(
        _ envelope: Envelope, content: [UInt8], done: @escaping @Sendable (QueueError?) -> Void
    ) {
        var envelope = envelope
        if let row = rows[envelope.id] {
            // Who knows what a DSN is about can compute its queue ID, and submit a message under it before it exists.
            guard case .notification = envelope.origin,
                case .submission = (try? storedMessage(row))?.message.envelope.origin
            else { return done(nil) }
            envelope.id = .make(clock)
        }
        let message = intake.begin(StoredEnvelope(envelope))
        if case .failed(let error) = message.append(content) {
            message.abort()
            return done(error)
        }
        message.commit { result in
            if case .failure(let error) = result { done(error) } else { done(nil) }
        }
    }
}

extension QueueID {
    /// The queue ID of a DSN, the same whenever it is made from the same message, recipients and cause.
    public static func derived(from message: QueueID, recipients: [Int], cause: String) -> QueueID {
        var text = "\(message)"
        for number in recipients { text += " \(number)" }
        let digest = Checksum.sha256(Array("\(text) \(cause)".utf8))
        return QueueID(bytes: message.bytes.prefix(5) + [digest[0] & 15] + digest[1..<8]) ?? message
    }
}
