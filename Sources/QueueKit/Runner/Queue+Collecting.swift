// Owns: how messages become known: segments that grow, messages of dead writers. Refuses: attempts, drops.

import Glibc
import MailModel

extension Queue {
    /// Takes notice of all that is new: notes of helpers, segments, drops. Errors are reported, not thrown: a later
    /// call tries again.
    public func collect() {
        readNotes()
        mendJournals()
        retireAgain()
        for segment in Array(segments.values) where !segment.isClosed { followOrLater(segment, isDead: nil) }
        for store in stores { attempt { () throws(QueueError) in try discover(store) } }
        attempt(collectDrops)
        moveMessages()
    }

    func attempt(_ body: () throws(QueueError) -> Void) {
        do throws(QueueError) { try body() } catch { report(.failed(error)) }
    }

    /// Follows a segment; after a failure not again before a pause.
    func followOrLater(_ segment: TrackedSegment, isDead: Bool?) {
        guard segment.retry.isDue(clock) else { return }
        do throws(QueueError) {
            try follow(segment, isDead: isDead)
        } catch {
            segment.retry.failed(clock)
            report(.failed(error))
        }
    }

    /// Reads what a segment's writer committed since the last time; closes it when the writer is gone.
    private func follow(_ segment: TrackedSegment, isDead known: Bool?) throws(QueueError) {
        guard let reader = segment.live else { return }
        let isDead: Bool
        if let known { isDead = known } else { isDead = try reader.file.tryLock() }
        let committed = try reader.committedOffset()
        let size = try reader.file.size()
        guard isDead else {
            let limit = min(committed ?? 0, size)
            guard limit > segment.scannedTo else { return }
            return try scan(segment, reader, limit: limit, verifying: false, durable: limit)
        }
        // Its writer may have died between writing and syncing: what is taken for mail must be durable first.
        try reader.file.syncData()
        let durable = max(reader.hint, committed ?? 0)
        // A message alone in its file was whole and durable before the file had its name.
        try scan(segment, reader, limit: size, verifying: !reader.header.flags.contains(.single), durable: durable)
        if durable > size && !segment.isShort { segment.damage.append(Damage(range: size..<size)) }
        segment.isShort = durable > size
        try moveDamage(segment, reader)
        closeTracked(segment, reader)
    }

    private func scan(
        _ segment: TrackedSegment, _ reader: SegmentReader, limit: Int64, verifying: Bool, durable: Int64
    ) throws(QueueError) {
        let scan = try reader.scan(
            from: segment.scannedTo, limit: limit, verifyingContent: verifying, durable: durable)
        segment.scannedTo = max(segment.scannedTo, limit, scan.end)
        segment.damage += scan.damage
        for message in scan.messages {
            let row = IndexRow(message)
            segment.index.append(row)
            // Only the runner moves messages; whatever else claims to carry a state is not believed.
            let carried = segment.store.place == .queue ? message.stored.carried : []
            if !carried.isEmpty { segment.carried[message.offset] = carried }
            add(row, segment, carried + (segment.replayed[message.offset] ?? []))
        }
    }

    /// Copies damage aside. Until that succeeded the segment has no index and is not freed.
    private func moveDamage(_ segment: TrackedSegment, _ reader: SegmentReader) throws(QueueError) {
        while let damage = segment.damage.first {
            let name = "\(segment.name).\(damage.range.lowerBound)"
            let reason =
                damage.range.isEmpty
                ? "\(segment.name) ends before what its writer had made durable: messages are missing."
                : "\(damage.id.map { "Message \($0)" } ?? "A message") is damaged where it is stored."
            try quarantine.copy(message: damage.range, of: reader.file, as: name, reason: reason)
            report(.quarantined(name: name, reason: reason))
            segment.damage.removeFirst()
        }
    }

    /// No more will come: the index goes into the journal, so that the next start need not scan.
    private func closeTracked(_ segment: TrackedSegment, _ reader: SegmentReader) {
        let entries = [.index(segment.index)] + segment.carried.map { JournalEntry.carried(message: $0, $1) }
        (segment.live, segment.replayed, segment.index, segment.carried) = (nil, [:], [], [:])
        // An attempt under way may still read through this descriptor: the lock must not stay with it.
        attempt { () throws(QueueError) in try reader.file.unlock() }
        if segment.remaining > 0 {
            // Without an index (a failure, or more messages than a frame can hold) the next start scans.
            attempt { () throws(QueueError) in
                try write(entries, segment)
                segment.hasIndex = true
            }
            if segment.inFlight == 0 { segment.journal?.rest() }
        }
        retireIfDone(segment)
    }

    /// Makes a message known, unless it is final already.
    func add(_ row: IndexRow, _ segment: TrackedSegment, _ entries: [JournalEntry]?) {
        segment.known += 1
        var state = MessageState(recipientCount: Int(row.recipientCount), held: row.held)
        for entry in entries ?? [] { state.apply(entry) }
        guard !state.isFinal else { return }
        let generation = max(state.generation, segment.store.place == .queue ? row.generation : 0)
        let older = rows[row.id]
        if let older {
            guard generation != older.generation else { return refuseDuplicate(row, segment) }
            // A copy that came too late, or the old place of a message that was moved before a crash.
            guard generation > older.generation else {
                if state.isRemovalAsked { rows[row.id]?.removalAsked = true }
                return leave(row.id, row.offset, segment)
            }
        }
        var message = MessageRow(
            segment: segment.name, offset: row.offset, arrival: row.arrival, due: monotonicDue(state.nextAttempt),
            recipientCount: row.recipientCount)
        message.generation = generation
        message.attempts = UInt16(clamping: state.attemptCount)
        message.warnings = UInt8(clamping: state.warnings)
        message.isHeld = state.held != nil
        message.removalAsked = state.isRemovalAsked
        remember(state, row.offset, segment)
        rows[row.id] = message
        segment.remaining += 1
        if let older { return arrive(row.id, from: older) }
        if !message.isHeld { due.insert(DueEntry(due: message.due, id: row.id)) }
        report(.arrived(row.id))
    }

    /// A second message with a known queue ID is nobody's mail: queue IDs are unique by construction.
    private func refuseDuplicate(_ row: IndexRow, _ segment: TrackedSegment) {
        attempt { () throws(QueueError) in
            guard let file = try segment.store.open(segment.name) else { return }
            let reason = "Message \(row.id) exists already: this second one was not taken."
            try quarantine.copy(
                message: row.offset..<row.end, of: file, as: "\(segment.name).\(row.offset)", reason: reason)
            try write([.quarantined(message: row.offset)], segment)
            report(.quarantined(name: "\(segment.name).\(row.offset)", reason: reason))
        }
    }

    /// Keeps a state in memory only when a row can't say it all; attempts stay in the journal.
    func remember(_ state: MessageState, _ offset: Int64, _ segment: TrackedSegment) {
        guard state.statuses.count > 1 else {
            segment.states[offset] = nil
            return
        }
        var small = state
        small.attempts = []
        segment.states[offset] = small
    }

    /// A stored time of attempt on the monotonic clock: never further off than the longest pause.
    private func monotonicDue(_ next: Timestamp?) -> Int64 {
        let now = clock.monotonic()
        guard let next else { return now }
        let longest = (options.schedule.longestPause * 1.1).milliseconds
        return now + min(max(0, next.milliseconds - clock.now().milliseconds), longest)
    }

    /// - Throws: QueueError `.missing` when another segment lies there: it is to be found and judged as any other.
    func reader(_ file: OpenFile, _ segment: TrackedSegment) throws(QueueError) -> SegmentReader {
        let reader = try SegmentReader(file, in: segment.store.place, keys: options.keys, known: segment.secret)
        guard reader.header.stamp == segment.stamp else {
            throw QueueError(
                .missing, "open segment \(file.path)",
                explanation: "another segment was put in its place. Restore it from a backup; its messages are known "
                    + "again then.")
        }
        return reader
    }

    /// The message behind a row, read from its segment.
    func storedMessage(_ row: MessageRow) throws(QueueError) -> (reader: SegmentReader, message: StoredMessage) {
        guard let segment = segments[row.segment] else {
            throw QueueError(.unknownMessage, "find segment \(row.segment)")
        }
        let reader: SegmentReader
        if let live = segment.live {
            reader = live
        } else {
            guard let file = try segment.store.open(segment.name) else {
                throw QueueError(
                    .missing, "open segment \(row.segment)",
                    explanation: "it is gone. Restore it from a backup; its messages are known again then.")
            }
            reader = try self.reader(file, segment)
        }
        guard let message = try reader.message(at: row.offset) else {
            throw QueueError(
                .corrupt, "read the message at \(row.offset) of \(reader.file.path)",
                explanation: "it is not what was written.")
        }
        return (reader, message)
    }
}
