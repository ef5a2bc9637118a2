// Owns: how messages become known: recovery at open, segments that grow, drops. Refuses: attempts.

import Glibc
import MailModel

extension Queue {
    // MARK: Recovery

    /// Reads journals and scans the segments without an index; removes what a crash left over.
    func recover() throws(QueueError) {
        let names = try queueDirectory.names()
        for name in names where name.hasPrefix("tmp.") || name.hasSuffix(JournalWriter.temporarySuffix) {
            try queueDirectory.unlink(name)
        }
        for store in stores {
            for name in try store.list() { try track(name, store) }
        }
        // Retired segments go before their journals: a journal alone is the rest of that.
        for name in names.compactMap(SegmentName.init(journal:)) {
            guard segments[name] == nil, !retiring.contains(name) else { continue }
            if try !hasSegment(name) { try queueDirectory.unlink(name.journal) }
        }
    }

    private func hasSegment(_ name: SegmentName) throws(QueueError) -> Bool {
        for store in stores {
            if try store.exists(name) { return true }
        }
        return false
    }

    /// Begins to follow a segment.
    private func track(_ name: SegmentName, _ store: DirectorySegmentStore) throws(QueueError) {
        guard let file = try store.open(name) else { return }
        let isDead = try file.tryLock()
        guard try file.size() > 0 else {
            if isDead { try store.directory.unlink(name.description) }
            return
        }
        let reader: SegmentReader
        do throws(QueueError) {
            reader = try SegmentReader(file)
        } catch {
            guard error.kind == .corrupt, isDead else { throw error }
            return try setAside(name.description, store.directory, "Neither of its two headers is whole.")
        }
        let segment = TrackedSegment(name, store: store, stamp: reader.header.stamp)
        segments[name] = segment
        let replay = try readJournal(segment)
        segment.live = reader
        if isDead, let index = replay.index {
            segment.hasIndex = true
            for row in index { add(row, segment, replay.states[row.offset]) }
            segment.live = nil
            return retireIfDone(segment)
        }
        segment.replayed = replay.states
        try follow(segment, isDead: isDead)
    }

    private func readJournal(
        _ segment: TrackedSegment
    ) throws(QueueError) -> (index: [IndexRow]?, states: [Int64: [JournalEntry]]) {
        guard let found = try JournalWriter.read(segment.name.journal, in: queueDirectory) else { return (nil, [:]) }
        guard let contents = found, contents.header.segmentStamp == segment.stamp else {
            try setAside(
                segment.name.journal, queueDirectory,
                "It is no journal of its segment: its marks are lost, and its messages may be delivered again.")
            return (nil, [:])
        }
        segment.journal = try JournalWriter(continuing: contents, name: segment.name.journal, in: queueDirectory)
        segment.journal?.rest()
        var index: [IndexRow]?
        var states: [Int64: [JournalEntry]] = [:]
        for entry in contents.entries {
            if case .index(let rows) = entry { index = rows }
            if let message = entry.message { states[message, default: []].append(entry) }
        }
        return (index, states)
    }

    private func setAside(_ name: String, _ directory: Directory, _ reason: String) throws(QueueError) {
        try quarantine.take(name, from: directory, reason: reason)
        report(.quarantined(name: name, reason: reason))
    }

    // MARK: Segments

    /// Takes notice of all that is new: notes of helpers, segments, drops. Errors are reported, not thrown: the next
    /// call tries again.
    public func collect() {
        readNotes()
        for segment in Array(segments.values) where !segment.isClosed {
            attempt { () throws(QueueError) in try follow(segment, isDead: nil) }
        }
        for store in stores {
            attempt { () throws(QueueError) in
                for name in try store.list() where segments[name] == nil && !retiring.contains(name) {
                    try track(name, store)
                }
            }
        }
        attempt(collectDrops)
    }

    private func attempt(_ body: () throws(QueueError) -> Void) {
        do throws(QueueError) { try body() } catch { report(.failed(error)) }
    }

    /// Reads what a segment's writer committed since the last time; closes it when the writer is gone.
    private func follow(_ segment: TrackedSegment, isDead known: Bool?) throws(QueueError) {
        guard let reader = segment.live else { return }
        let isDead: Bool
        if let known { isDead = known } else { isDead = try reader.file.tryLock() }
        guard isDead else {
            guard let limit = try reader.committedOffset(), limit > segment.scannedTo else { return }
            return try scan(segment, reader, limit: limit, verifying: false)
        }
        // Its writer may have died between writing and syncing: what is taken for mail must be durable first.
        try reader.file.syncData()
        try scan(segment, reader, limit: try reader.file.size(), verifying: true)
        try closeTracked(segment)
    }

    private func scan(
        _ segment: TrackedSegment, _ reader: SegmentReader, limit: Int64, verifying: Bool
    ) throws(QueueError) {
        let scan = try reader.scan(from: segment.scannedTo, limit: limit, verifyingContent: verifying)
        for message in scan.messages {
            let row = IndexRow(message)
            segment.index.append(row)
            add(row, segment, segment.replayed[message.offset])
            segment.scannedTo = max(segment.scannedTo, message.end)
        }
        for damage in scan.damage {
            let name = "\(segment.name).\(damage.range.lowerBound)"
            let reason = "\(damage.id.map { "Message \($0)" } ?? "A message") is damaged where it is stored."
            try quarantine.copy(damage.range, of: reader.file, as: name, reason: reason)
            report(.quarantined(name: name, reason: reason))
        }
        if !verifying { segment.scannedTo = limit }
    }

    /// No more will come: the index goes into the journal, so that the next start need not scan.
    private func closeTracked(_ segment: TrackedSegment) throws(QueueError) {
        segment.live = nil
        segment.replayed = [:]
        if segment.remaining > 0 {
            try write([.index(segment.index)], segment)
            segment.hasIndex = true
            if segment.inFlight == 0 { segment.journal?.rest() }
        }
        segment.index = []
        retireIfDone(segment)
    }

    /// Makes a message known, unless it is final already.
    private func add(_ row: IndexRow, _ segment: TrackedSegment, _ entries: [JournalEntry]?) {
        var state = MessageState(recipientCount: Int(row.recipientCount), held: row.held)
        for entry in entries ?? [] { state.apply(entry) }
        guard !state.isFinal else { return }
        guard rows[row.id] == nil else { return refuseDuplicate(row, segment) }
        var message = MessageRow(
            segment: segment.name, offset: row.offset, arrival: row.arrival, due: monotonicDue(state.nextAttempt),
            recipientCount: row.recipientCount)
        message.attempts = UInt16(clamping: state.attemptCount)
        message.warnings = UInt8(clamping: state.warnings)
        message.isHeld = state.held != nil
        remember(state, row.offset, segment)
        rows[row.id] = message
        segment.remaining += 1
        if !message.isHeld { due.insert(DueEntry(due: message.due, id: row.id)) }
        report(.arrived(row.id))
    }

    /// A second message with a known queue ID is nobody's mail: queue IDs are unique by construction.
    private func refuseDuplicate(_ row: IndexRow, _ segment: TrackedSegment) {
        attempt { () throws(QueueError) in
            guard let file = try segment.store.open(segment.name) else { return }
            let reason = "Message \(row.id) exists already: this second one was not taken."
            try quarantine.copy(row.offset..<row.end, of: file, as: "\(segment.name).\(row.offset)", reason: reason)
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

    // MARK: Drops

    private func collectDrops() throws(QueueError) {
        let pickup = OfflinePickup(directory: offlineDirectory, clock: clock, sizeLimit: options.sizeLimit)
        for name in try pickup.candidates(busy: copyingDrops) {
            switch try pickup.examine(name) {
            case .wait: continue
            case .remove: try removeDrop(name)
            case .refuse(let reason): try setAside(name, offlineDirectory, reason)
            case .accept(let reader, let message): try take(name, reader, message)
            }
        }
    }

    private func removeDrop(_ name: String) throws(QueueError) {
        try offlineDirectory.unlink(name)
        housekeeper.mark(offlineDirectory)
    }

    private func take(_ name: String, _ reader: SegmentReader, _ message: StoredMessage) throws(QueueError) {
        guard !copyingIDs.contains(message.id) else { return }
        if let row = rows[message.id] {
            // Left over by a crash between the copy's commit and the unlink, or somebody's attempt at a known name.
            guard try storedMessage(row).message.stored.dropStamp == reader.header.stamp else {
                return try setAside(name, offlineDirectory, "Message \(message.id) exists already.")
            }
            return try removeDrop(name)
        }
        copyingDrops.insert(name)
        copyingIDs.insert(message.id)
        let stored = try OfflinePickup.envelope(of: message, reader)
        let copy = DropCopy(name: name, reader: reader, message: message, stored: stored)
        copying.run { [intake, offlineDirectory, housekeeper, inbox, wake] in
            copy.run(into: intake, offlineDirectory, housekeeper) { error in
                inbox.update { $0.append(.copied(drop: name, message.id, error)) }
                wake()
            }
        }
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
                    .corrupt, "open segment \(row.segment)", explanation: "it is gone. Restore it from a backup.")
            }
            reader = try SegmentReader(file)
        }
        guard let message = try reader.message(at: row.offset) else {
            throw QueueError(
                .corrupt, "read the message at \(row.offset) of \(reader.file.path)",
                explanation: "it is not what was written.")
        }
        return (reader, message)
    }
}

extension Queue {
    /// Whether drops are being copied or segments freed this moment.
    public var isCollecting: Bool { !copyingDrops.isEmpty || !inbox.access { $0.isEmpty } }
}
