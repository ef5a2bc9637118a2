// Owns: moving messages into new segments: the few survivors of a large segment, so that it can be freed, and what is
// sealed otherwise than the configuration says. Refuses: moving what is tried this moment; trusting anybody else's
// generations.
//
//   waiting -> copying -> the copy is durable: it is the message now -> the old place's mark is durable -> waiting
//
// A message is not tried while it moves. Its copy carries its whole state and the next generation; whatever a crash
// leaves, the higher generation counts. An order that comes meanwhile raises the old place's generation above the
// copy's, which then came too late; the message still waits for it, or it would pass for new mail once this one is
// final. The mark of the place that is left must be durable before the other one is tried, or a crash could bring back
// what was delivered.

import MailModel

/// Where a message stands that moves.
enum MoveState {
    case copying
    /// As before, but its copy will come too late: an order was written at the old place.
    case overtaken
    /// At the place where it stays; the mark at the other one is being made durable.
    case settling(TrackedSegment, Backoff)
    /// It could not be; asked for again when it is time.
    case unsettled(TrackedSegment, Backoff)

    /// Whether something will come of it without another try.
    var isMoving: Bool {
        switch self {
        case .copying, .overtaken, .settling: true
        case .unsettled: false
        }
    }
}

/// What the journal of a segment says of each message, but for generations.
struct MoveJournal {
    let segment: SegmentName
    private(set) var entries: [Int64: [JournalEntry]] = [:]

    init(segment: SegmentName) { self.segment = segment }

    mutating func add(_ new: [JournalEntry]) {
        for entry in new {
            if case .generation = entry { continue }
            if let message = entry.message { entries[message, default: []].append(entry) }
        }
    }
}

extension Queue {
    static let movesUnderWay = 16
    /// A segment is emptied when so many were in it, and not more than one of `sparseness` is left.
    static let emptiedFrom = 16
    static let sparseness = 8
    /// Of a sparse segment's messages only those move that wait at least as long, or are held.
    static let restingMilliseconds: Int64 = 300_000
    /// How often the queue is searched for what should move.
    static let lookPause: Int64 = 10_000

    /// Begins moves that are wanted, a few at a time.
    func moveMessages() {
        settleAgain()
        guard moveRetry.isDue(clock) else { return }
        if moveCandidates.isEmpty { findCandidates() }
        defer { if moveCandidates.isEmpty { moveJournal = nil } }
        while moving.count < Self.movesUnderWay, let id = moveCandidates.popLast() {
            guard let row = rows[id], let segment = segments[row.segment], mayMove(id, row, segment) else { continue }
            do throws(QueueError) {
                try move(id, row, segment)
            } catch {
                switch error.kind {
                case .corrupt: continue
                case .missing: lose(segment)
                default: break
                }
                moveRetry.failed(clock)
                return report(.failed(error))
            }
        }
    }

    private func findCandidates() {
        guard clock.monotonic() >= nextMoveLook else { return }
        nextMoveLook = clock.monotonic() + Self.lookPause
        let wanting = segments.filter { isSealedOtherwise($0.value) || isSparse($0.value) }
        guard !wanting.isEmpty else { return }
        let found = rows.filter { id, row in wanting[row.segment].map { mayMove(id, row, $0) } ?? false }
        // Segment by segment, for the sake of their journals; they are taken from the end.
        moveCandidates = found.sorted { ($0.value.segment, $0.value.offset) > ($1.value.segment, $1.value.offset) }
            .map(\.key)
    }

    private func mayMove(_ id: QueueID, _ row: MessageRow, _ segment: TrackedSegment) -> Bool {
        guard segment.isClosed, !segment.isPinned, !segment.journalFailed, !row.inFlight, moving[id] == nil,
            !awaitingDrop.contains(id),
            row.generation < .max - 2
        else { return false }
        let isResting = row.isHeld || row.due - clock.monotonic() > Self.restingMilliseconds
        return isSealedOtherwise(segment) || isResting && isSparse(segment)
    }

    /// By the configuration of before, or for an earlier key.
    private func isSealedOtherwise(_ segment: TrackedSegment) -> Bool {
        segment.isClosed && segment.keyID != options.protection.sealer?.publicKey.id
    }

    private func isSparse(_ segment: TrackedSegment) -> Bool {
        segment.isClosed && !segment.isSingle && segment.known >= Self.emptiedFrom && segment.remaining > 0
            && segment.remaining * Self.sparseness <= segment.known
    }

    private func move(_ id: QueueID, _ row: MessageRow, _ segment: TrackedSegment) throws(QueueError) {
        let (reader, message) = try storedMessage(row)
        let before = segment.store.place == .queue ? message.stored.carried : []
        let stored = StoredEnvelope(
            message.envelope, generation: row.generation + 1, dropStamp: message.stored.dropStamp,
            carried: before + (try entries(of: row.offset, segment)))
        do throws(QueueError) {
            _ = try stored.checkedBytes()
        } catch {
            // It knows too much to be carried; it stays where it is.
            guard error.kind == .refused else { throw error }
            return
        }
        moving[id] = .copying
        let copy = MessageCopy(reader: reader, message: message, stored: stored)
        copying.run { [intake, inbox, wake] in
            copy.run(into: intake) { result in
                // The copy itself is found as any new message is.
                guard case .failure(let error) = result else { return }
                inbox.update { $0.append(.notMoved(id, error)) }
                wake()
            }
        }
    }

    /// What a segment's journal says of one message. The journal last read is kept and followed: moves come segment by
    /// segment.
    private func entries(of offset: Int64, _ segment: TrackedSegment) throws(QueueError) -> [JournalEntry] {
        guard let journal = segment.journal else { return [] }
        if moveJournal?.segment != segment.name {
            let contents = try journal.readBack(keys: options.keys)
            // A copy that knew less would do again what was done.
            guard let contents, contents.frames == journal.frames else {
                segment.isPinned = true
                throw QueueError(
                    .system, "move the messages of \(segment.name)",
                    explanation:
                        "its journal can't be read back. They stay where they are. Look for faults of the disk.")
            }
            var read = MoveJournal(segment: segment.name)
            for frame in contents.frameEntries { read.add(frame.entries) }
            moveJournal = read
        }
        return moveJournal?.entries[offset] ?? []
    }

    func notMoved(_ id: QueueID, _ error: QueueError) {
        switch moving[id] {
        case .copying, .overtaken: break
        case .settling, .unsettled, nil: return
        }
        moveRetry.failed(clock)
        report(.failed(error))
        settled(id)
    }

    /// For an order about a message: if its copy is on its way, it comes too late. The entries go with the order's.
    func stay(_ id: QueueID, _ row: inout MessageRow) -> [JournalEntry] {
        guard case .copying = moving[id] else { return [] }
        row.generation += 2
        return [.generation(message: row.offset, row.generation)]
    }

    /// Memory follows an order that is written.
    func ordered(_ id: QueueID, _ row: MessageRow) {
        if let before = rows.updateValue(row, forKey: id), before.generation != row.generation {
            moving[id] = .overtaken
        }
    }

    /// A copy of a higher generation is known now: the old place is left.
    func arrive(_ id: QueueID, from old: MessageRow) {
        // What memory knows of a move of this life is newer than what the copy says; at a start the copy knows better.
        if moving[id] != nil {
            rows[id]?.due = old.due
            moveRetry = Backoff()
        }
        if old.removalAsked { rows[id]?.removalAsked = true }
        guard let segment = segments[old.segment] else { return }
        leave(id, old.offset, segment)
        release(of: old.offset, segment)
        segment.states[old.offset] = nil
        segment.remaining -= 1
        retireIfDone(segment)
    }

    /// Marks a place that a copy of a higher generation made void, and keeps the message until that is durable.
    func leave(_ id: QueueID, _ offset: Int64, _ segment: TrackedSegment) {
        attempt { () throws(QueueError) in try writeCertainly([.moved(message: offset)], segment) }
        settle(id, segment, Backoff())
    }

    private func settle(_ id: QueueID, _ old: TrackedSegment, _ retry: Backoff) {
        // A mark that could not be written is on no disk, whatever is synced.
        guard !old.journalFailed else { return unsettled(id, old, retry) }
        moving[id] = .settling(old, retry)
        housekeeper.barrier { [inbox, wake] error in
            inbox.update { $0.append(.settled(id, error)) }
            wake()
        }
    }

    func settled(_ id: QueueID, _ error: QueueError?) {
        guard case .settling(let old, let retry) = moving[id] else { return }
        guard let error else { return settled(id) }
        unsettled(id, old, retry)
        report(.failed(error))
    }

    private func unsettled(_ id: QueueID, _ old: TrackedSegment, _ retry: Backoff) {
        var retry = retry
        retry.failed(clock)
        moving[id] = .unsettled(old, retry)
    }

    private func settleAgain() {
        for (id, state) in moving {
            if case .unsettled(let old, let retry) = state, retry.isDue(clock) { settle(id, old, retry) }
        }
    }

    /// At a start: what an operator wanted out before a crash, once every copy of it is known.
    func removeAsked() {
        for (id, row) in rows where row.removalAsked && moving[id] == nil {
            attempt { () throws(QueueError) in try remove(id) }
        }
    }

    /// The message may be tried again, or goes if somebody ordered that meanwhile.
    private func settled(_ id: QueueID) {
        moving[id] = nil
        guard let row = rows[id] else { return }
        if row.removalAsked, !row.inFlight {
            return attempt { () throws(QueueError) in try remove(id) }
        }
        // It was passed over while it moved.
        if !row.isHeld, !row.inFlight { due.insert(DueEntry(due: row.due, id: id)) }
    }
}
