// Owns: answers kept for as long as their zones allow, within bounds. Refuses: clocks of its own.

/// A plain value; `Resolver` guards it with a lock. Failures are never kept.
struct DNSCache: Sendable {
    struct Key: Hashable, Sendable {
        var name: String
        var kind: DNSQuestion.Kind
    }
    private struct Entry: Sendable {
        var answer: DNSAnswer
        var end: ContinuousClock.Instant
    }

    /// Entries; some hundred bytes each.
    let capacity: Int
    private var entries: [Key: Entry] = [:]

    init(capacity: Int = 10_000) { self.capacity = capacity }

    var count: Int { entries.count }

    mutating func answer(for key: Key, now: ContinuousClock.Instant) -> DNSAnswer? {
        guard let entry = entries[key] else { return nil }
        guard entry.end > now else {
            entries[key] = nil
            return nil
        }
        return entry.answer
    }

    mutating func keep(_ answer: DNSAnswer, for key: Key, now: ContinuousClock.Instant) {
        guard let seconds = answer.lifetime else { return }
        if entries.count >= capacity { makeRoom(now: now) }
        entries[key] = Entry(answer: answer, end: now + .seconds(Int64(seconds)))
    }

    /// Drops what has expired; when that is less than a quarter, drops any quarter, so that the work stays rare.
    private mutating func makeRoom(now: ContinuousClock.Instant) {
        entries = entries.filter { $0.value.end > now }
        let goal = capacity - max(1, capacity / 4)
        for key in Array(entries.keys.prefix(max(0, entries.count - goal))) { entries[key] = nil }
    }
}
