// Owns: moving messages into new segments: the few survivors of a large segment, so that it can be freed, and what is
// sealed otherwise than the configuration says. Refuses: moving what is tried this moment; trusting anybody else's
// generations.
//
//   waiting -> copying -> the copy is durable: it is the message now -> the old place's mark is durable -> waiting
//
// A message is not tried while it moves. Its copy carries its whole state and the next generation; whatever a crash
// leaves, the higher generation counts. An order that comes meanwhile raises the old place's generation above the
// copy's, which then came too late. The old place's mark must be durable before the copy is tried, or a crash could
// bring back what was delivered.

import MailModel

/// Where a message stands that moves.
enum MoveState {
    case copying
    /// At its new place; the mark at the old one is being made durable.
    case settling(TrackedSegment, Backoff)
    /// It could not be; asked for again when it is time.
    case unsettled(TrackedSegment, Backoff)
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
        while moving.count < Self.movesUnderWay, let id = moveCandidates.popLast() {
            guard let row = rows[id], let segment = segments[row.segment], mayMove(id, row, segment) else { continue }
            do throws(QueueError) {
                try move(id, row, segment)
            } catch {
                if case .corrupt = error.kind { continue }
                moveRetry.failed(clock)
                return report(.failed(error))
            }
        }
    }

    private func findCandidates() {
        guard clock.monotonic() >= nextMoveLook else { return }
        nextMoveLook = clock.monotonic() + Self.lookPause
        let wanting = Set(segments.values.filter { isSealedOtherwise($0) || isSparse($0) }.map(\.name))
        guard !wanting.isEmpty else { return }
        moveCandidates = rows.filter { wanting.contains($0.value.segment) }.map(\.key)
    }

    private func mayMove(_ id: QueueID, _ row: MessageRow, _ segment: TrackedSegment) -> Bool {
        guard segment.isClosed, !segment.journalFailed, !row.inFlight, moving[id] == nil, !awaitingDrop.contains(id)
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

    /// What a segment's journal says of one message. The journal last read is kept: moves come segment by segment.
    private func entries(of offset: Int64, _ segment: TrackedSegment) throws(QueueError) -> [JournalEntry] {
        guard let journal = segment.journal else { return [] }
        if moveJournal?.name != segment.name || moveJournal?.frames != journal.frames {
            guard let contents = try journal.readBack(keys: options.keys), contents.frames == journal.frames else {
                throw QueueError(
                    .system, "move a message whose marks are in \(queueDirectory.path)/\(journal.name)",
                    explanation: "they can't be read back as they were written. It stays where it is.")
            }
            var entries: [Int64: [JournalEntry]] = [:]
            for entry in contents.frameEntries.lazy.flatMap(\.entries) {
                if case .generation = entry { continue }
                if let message = entry.message { entries[message, default: []].append(entry) }
            }
            moveJournal = (segment.name, journal.frames, entries)
        }
        return moveJournal?.entries[offset] ?? []
    }

    func notMoved(_ id: QueueID, _ error: QueueError) {
        guard case .copying = moving[id] else { return }
        moveRetry.failed(clock)
        report(.failed(error))
        settled(id)
    }

    /// For an order about a message: if its copy is on its way, it comes too late. The entries go with the order's.
    func stay(_ id: QueueID, _ row: inout MessageRow) -> [JournalEntry] {
        guard case .copying = moving[id] else { return [] }
        moving[id] = nil
        row.generation += 2
        return [.generation(message: row.offset, row.generation)]
    }

    /// A copy of a higher generation is known now: the old place is left.
    func arrive(_ id: QueueID, from old: MessageRow) {
        // What memory knows of a move of this life is newer than what the copy says; at a start the copy knows better.
        if moving[id] != nil { rows[id]?.due = old.due }
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
