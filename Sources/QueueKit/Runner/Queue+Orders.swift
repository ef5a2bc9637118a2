// Owns: what an operator orders about messages. Refuses: who may order (the control socket), durability before the
// answer (`whenDurable`).

import MailModel

extension Queue {
    /// The message that a unique prefix of its queue ID names.
    ///
    /// - Throws: QueueError `.unknownMessage` when none or several do.
    public func resolve(_ prefix: String) throws(QueueError) -> QueueID {
        let found = QueueID.range(ofPrefix: prefix).map { range in rows.keys.filter { range.contains($0) } } ?? []
        guard let id = found.first else {
            throw QueueError(
                .unknownMessage, "find message \(prefix)",
                explanation: "no message in the queue has this queue ID. `mail-queue list` shows those there are.")
        }
        guard found.count == 1 else {
            throw QueueError(
                .unknownMessage, "find message \(prefix)",
                explanation: "\(found.count) messages begin like this. Give more of the queue ID.")
        }
        return id
    }

    /// Keeps a message from being tried until it is released. False when it was held already.
    public func hold(_ id: QueueID, reason: String) throws(QueueError) -> Bool {
        guard var row = rows[id], let segment = segments[row.segment], !row.isHeld else { return false }
        try write([.held(message: row.offset, reason: reason)] + stay(id, &row), segment)
        row.isHeld = true
        ordered(id, row)
        return true
    }

    /// Undoes `hold`; the message is due at once, for the next runner too. False when it was not held.
    public func release(_ id: QueueID) throws(QueueError) -> Bool {
        guard var row = rows[id], let segment = segments[row.segment], row.isHeld else { return false }
        try write([.released(message: row.offset)] + dueNow(row) + stay(id, &row), segment)
        row.isHeld = false
        row.due = clock.monotonic()
        ordered(id, row)
        if !row.inFlight { due.insert(DueEntry(due: row.due, id: id)) }
        return true
    }

    /// Makes a message due now, for the next runner too should this one end first. False when it is held or being
    /// tried this moment.
    public func flush(_ id: QueueID) throws(QueueError) -> Bool {
        guard var row = rows[id], let segment = segments[row.segment], !row.isHeld, !row.inFlight else { return false }
        let entries = dueNow(row) + stay(id, &row)
        if !entries.isEmpty { try write(entries, segment) }
        row.due = clock.monotonic()
        ordered(id, row)
        due.insert(DueEntry(due: row.due, id: id))
        return true
    }

    /// What was never tried is due at every start and needs no entry.
    private func dueNow(_ row: MessageRow) -> [JournalEntry] {
        row.attempts > 0 ? [.scheduled(message: row.offset, clock.now())] : []
    }

    /// Takes a message out without a DSN; one in flight goes when its attempt is over, one that moves when it settled.
    public func remove(_ id: QueueID) throws(QueueError) {
        guard let row = rows[id], let segment = segments[row.segment] else { return }
        guard !row.inFlight, moving[id] == nil else {
            try write([.removing(message: row.offset)], segment)
            rows[id]?.removalAsked = true
            return
        }
        try write([.removed(message: row.offset)], segment)
        forget(id, row, segment, wasInFlight: false)
    }
}

extension QueueID {
    /// All queue IDs that begin with `prefix`; nil when it has a character that none has, or is too long or empty.
    public static func range(ofPrefix prefix: String) -> ClosedRange<QueueID>? {
        guard (1...length).contains(prefix.utf8.count) else { return nil }
        let missing = length - prefix.utf8.count
        guard let low = QueueID(prefix + String(repeating: "0", count: missing)),
            let high = QueueID(prefix + String(repeating: "v", count: missing))
        else { return nil }
        return low...high
    }
}
