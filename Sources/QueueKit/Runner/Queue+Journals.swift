// Owns: what the runner writes down: marks, the journals they go to, a new journal after a failure, room reserved for
// results, freeing segments. Refuses: deciding what is written; syncing, which is the Housekeeper's.

import MailModel

extension Queue {
    /// Writes entries about messages of a segment, creating its journal when it is the first.
    func write(_ entries: [JournalEntry], _ segment: TrackedSegment) throws(QueueError) {
        let journal = try openJournal(segment)
        // An opening before the entries is no more durable than they are.
        let first = journal.frames
        do throws(QueueError) {
            let file = try journal.append(entries)
            segment.unsynced.append((first, entries))
            if moveJournal?.segment == segment.name { moveJournal?.add(entries) }
            housekeeper.mark(journal: journal.name, file, frames: journal.frames)
        } catch {
            // What is no frame at all was not written: nothing failed.
            if error.kind != .refused { segment.journalFailed = true }
            throw error
        }
    }

    /// As `write`, for what happened and can't be taken back: if it can't be written now, memory keeps it, and it goes
    /// into a new journal before any further attempt.
    func writeCertainly(_ entries: [JournalEntry], _ segment: TrackedSegment) throws(QueueError) {
        do throws(QueueError) {
            try write(entries, segment)
        } catch {
            segment.unsynced.append((segment.journal?.frames ?? 0, entries))
            segment.journalFailed = true
            throw error
        }
    }

    func openJournal(_ segment: TrackedSegment) throws(QueueError) -> JournalWriter {
        if segment.journalFailed { try replaceJournal(segment) }
        if let journal = segment.journal { return journal }
        let journal = try JournalWriter(
            creating: segment.name.journal, in: queueDirectory, segmentStamp: segment.stamp, try seal(for: segment),
            clock: clock)
        segment.journal = journal
        housekeeper.mark(queueDirectory)
        return journal
    }

    /// A sealed segment's journal is sealed for the same key; a plain segment's for the key in use, if there is one.
    private func seal(for segment: TrackedSegment) throws(QueueError) -> JournalSeal? {
        try seal(segment.keyID ?? options.protection.sealer?.publicKey.id)
    }

    func seal(_ id: KeyID?) throws(QueueError) -> JournalSeal? {
        guard let id, let keys = options.keys else { return nil }
        return try QueueError.onSegment("seal a journal") { () throws(SealError) in try JournalSeal(id, keys) }
    }

    /// After a failed write or sync: all that the old journal says and all that was not known durable, in a new file.
    private func replaceJournal(_ segment: TrackedSegment) throws(QueueError) {
        let name = segment.name.journal
        let new = try JournalWriter.replacing(
            name, with: try durableEntries(segment) + segment.unsynced.flatMap(\.entries), in: queueDirectory,
            segmentStamp: segment.stamp, try seal(for: segment), clock: clock)
        (segment.journal, segment.unsynced, segment.journalFailed) = (new, [], false)
        if moveJournal?.segment == segment.name { moveJournal = nil }
        housekeeper.replaced(name)
        housekeeper.mark(queueDirectory)
        // Room for what is under way: without it those results are written as long as the disk has room.
        let promised = segment.promises.values.reduce(0, +)
        if promised > 0 { attempt { () throws(QueueError) in try new.reserve(promised) } }
    }

    /// What the old journal holds below the first frame not known durable.
    private func durableEntries(_ segment: TrackedSegment) throws(QueueError) -> [JournalEntry] {
        guard let old = segment.journal else { return [] }
        let first = segment.unsynced.first?.frame ?? old.frames
        let found = try old.readBack(keys: options.keys)
        let kept = found?.frameEntries.filter { $0.number < first } ?? []
        guard UInt64(kept.count) == first else {
            throw QueueError(
                .system, "write \(queueDirectory.path)/\(old.name) anew",
                explanation: "its durable part can't be read back. Nothing of its segment is tried meanwhile.")
        }
        return kept.flatMap(\.entries)
    }

    /// Tries again to write what could not be written.
    func mendJournals(evenEarly: Bool = false) {
        for segment in Array(segments.values) + Array(retiring.values) where segment.journalFailed {
            guard evenEarly || segment.retry.isDue(clock) else { continue }
            do throws(QueueError) {
                _ = try openJournal(segment)
                segment.retry = Backoff()
            } catch {
                segment.retry.failed(clock)
                report(.failed(error))
            }
        }
    }

    // MARK: Room

    /// Makes sure that so many results of a message can be written.
    func reserve(results: Int, of offset: Int64, _ segment: TrackedSegment) throws(QueueError) {
        let bytes = Self.resultSpace * Int64(results)
        try openJournal(segment).reserve(bytes)
        segment.promises[offset, default: 0] += bytes
    }

    /// Gives back the room of results that were written, or (without a number) all of a message's.
    func release(results: Int? = nil, of offset: Int64, _ segment: TrackedSegment) {
        guard let promised = segment.promises[offset] else { return }
        let bytes = min(promised, results.map { Self.resultSpace * Int64($0) } ?? promised)
        segment.journal?.release(bytes)
        segment.promises[offset] = bytes == promised ? nil : promised - bytes
    }

    // MARK: Freeing

    /// Frees a segment once it is closed and all its messages are final.
    func retireIfDone(_ segment: TrackedSegment) {
        guard segment.isClosed, segment.remaining == 0, segment.inFlight == 0 else { return }
        segments[segment.name] = nil
        retiring[segment.name] = segment
        handOver(segment)
    }

    private func handOver(_ segment: TrackedSegment) {
        housekeeper.retire(
            .init(store: segment.store, segment: segment.name, hasJournal: segment.journal != nil))
    }

    /// What the housekeeper said of a segment: gone, or to be tried again.
    func retired(_ name: SegmentName, _ error: QueueError?) {
        guard let error, let segment = retiring[name] else {
            // Whoever waits for a mark there waits no more.
            retiring.removeValue(forKey: name)?.journalFailed = false
            housekeeper.replaced(name.journal)
            return
        }
        segment.retry.failed(clock)
        unretired.insert(name)
        report(.failed(error))
    }

    /// Hands segments over again that could not be freed.
    func retireAgain() {
        for name in unretired {
            guard let segment = retiring[name], segment.retry.isDue(clock), !segment.journalFailed else { continue }
            unretired.remove(name)
            handOver(segment)
        }
    }
}
