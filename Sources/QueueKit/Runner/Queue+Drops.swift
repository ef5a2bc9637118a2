// Owns: drops on their way into the queue: which are looked at, how many at a time, what waits for them. Refuses:
// judging them (OfflinePickup), copying them (DropCopy).
//
//   seen -> copying -> the copy is durable -> unlinked -> `offline/` synced: the message may be tried
//              | failed: again after a pause      | failed: only this again, after a pause
//
// Anyone may put anything into `offline/`, in any number and under any name: no drop stands in the way of another.

import MailModel
import SystemPackage

/// Where a drop stands that is being taken.
enum DropState {
    case copying
    /// Its copy is durable; it is being removed, which must be durable before the copy is tried.
    case leaving(QueueID, Backoff)
    /// It could not be removed; tried again when it is time.
    case staying(QueueID, Backoff)

    /// Whether something will come of it without another try.
    var isMoving: Bool {
        switch self {
        case .copying, .leaving: true
        case .staying: false
        }
    }
}

extension Queue {
    /// Drops under way at once. Each holds a descriptor.
    static let dropsUnderWay = 64
    /// In one call of `collect`, so that a flood of drops leaves room for other work.
    static let dropsLookedAt = 500
    /// Each costs some syncs.
    static let dropsRefused = 20
    static let dropOctets: Int64 = 64 << 20
    /// Of drops that could not be taken: beyond it they are tried again without a pause.
    static let dropRetryLimit = 10_000

    /// Looks at drops, going on after the last one it looked at.
    func collectDrops() throws(QueueError) {
        removeStayingDrops()
        let names = try offlineDirectory.names()
        if !dropRetries.isEmpty {
            let present = Set(names)
            dropRetries = dropRetries.filter { present.contains($0.key) }
        }
        let waiting = names.filter { drops[$0] == nil && (dropRetries[$0]?.isDue(clock) ?? true) }.sorted()
        let pickup = pickup
        var round = DropRound()
        for name in waiting where name > dropCursor {
            // Those under way wake the runner when they are done.
            guard drops.count < Self.dropsUnderWay else { return }
            guard !round.isOver else { return wake() }
            dropCursor = name
            try lookAt(name, pickup, &round)
        }
        dropCursor = ""
    }

    /// What one call of `collect` did with drops.
    struct DropRound {
        var looked = 0
        var refused = 0
        var octets: Int64 = 0
        var isOver: Bool { looked >= dropsLookedAt || refused >= dropsRefused || octets >= dropOctets }
    }

    private var pickup: OfflinePickup {
        OfflinePickup(
            directory: offlineDirectory, clock: clock, sizeLimit: options.sizeLimit, keys: options.keys)
    }

    private func lookAt(_ name: String, _ pickup: OfflinePickup, _ round: inout DropRound) throws(QueueError) {
        round.looked += 1
        do throws(QueueError) {
            switch try pickup.examine(name) {
            case .wait: return
            case .incomplete(let octets):
                round.octets += octets
                return later(name)
            case .refuse(let reason):
                round.refused += 1
                try setAside(name, offlineDirectory, reason)
            case .accept(let reader, let message):
                round.octets += message.end
                try take(name, reader, message)
            }
            dropRetries[name] = nil
        } catch {
            later(name)
            // Without descriptors no other drop will fare better.
            if error.cause == .tooManyOpenFiles || error.cause == .tooManyOpenFilesInSystem { throw error }
            report(.failed(error))
        }
    }

    private func later(_ name: String) {
        guard dropRetries.count < Self.dropRetryLimit || dropRetries[name] != nil else { return }
        dropRetries[name, default: Backoff()].failed(clock)
    }

    private func take(
        _ name: String, _ reader: SegmentReader, _ message: StoredMessage
    ) throws(QueueError) {
        guard !awaitingDrop.contains(message.id) else { return }
        if let row = rows[message.id] {
            // Left over by a crash between the copy's commit and the unlink, or somebody's attempt at a known name.
            guard try storedMessage(row).message.stored.dropStamp == reader.header.stamp else {
                return try setAside(name, offlineDirectory, "Message \(message.id) exists already.")
            }
            return discard(name, of: message.id, Backoff())
        }
        let stored = try OfflinePickup.envelope(of: message, reader, clock: clock)
        drops[name] = .copying
        awaitingDrop.insert(message.id)
        let copy = DropCopy(name: name, copy: MessageCopy(reader: reader, message: message, stored: stored))
        copying.run { [intake, offlineDirectory, housekeeper, inbox, wake] in
            copy.run(into: intake, offlineDirectory, housekeeper) { end in
                inbox.update { $0.append(.copied(drop: name, message.id, end)) }
                wake()
            }
        }
    }

    /// Removes a drop whose copy is in the queue; until it is gone for good the copy is not tried.
    private func discard(_ name: String, of id: QueueID, _ retry: Backoff) {
        drops[name] = .leaving(id, retry)
        awaitingDrop.insert(id)
        copying.run { [offlineDirectory, housekeeper, inbox, wake] in
            DropCopy.remove(name, offlineDirectory, housekeeper) { end in
                inbox.update { $0.append(.copied(drop: name, id, end)) }
                wake()
            }
        }
    }

    /// What became of a drop under way.
    func copied(_ name: String, _ id: QueueID, _ end: DropCopy.End) {
        switch end {
        case .failed(let error):
            drops[name] = nil
            awaitingDrop.remove(id)
            later(name)
            report(.failed(error))
        case .stored(let error):
            var retry = Backoff()
            if case .leaving(_, let before) = drops[name] { retry = before }
            retry.failed(clock)
            drops[name] = .staying(id, retry)
            report(.failed(error))
        case .gone:
            drops[name] = nil
            awaitingDrop.remove(id)
            // It was passed over while it waited.
            if let row = rows[id], !row.isHeld, !row.inFlight { due.insert(DueEntry(due: row.due, id: id)) }
        }
    }

    /// Tries again to remove drops whose copies wait.
    private func removeStayingDrops() {
        for (name, state) in drops {
            if case .staying(let id, let retry) = state, retry.isDue(clock) { discard(name, of: id, retry) }
        }
    }

    /// At a start: drops whose copies are in the queue already must go before those are tried.
    func findLeftoverDrops() {
        guard !rows.isEmpty else { return }
        attempt { () throws(QueueError) in
            let pickup = pickup
            for name in try offlineDirectory.names().sorted().prefix(Self.dropsAtStart) {
                attempt { () throws(QueueError) in
                    guard let (id, stamp) = try? pickup.peek(name), let row = rows[id],
                        try storedMessage(row).message.stored.dropStamp == stamp
                    else { return }
                    discard(name, of: id, Backoff())
                }
            }
        }
    }
}
