// Owns: what the entries of a journal add up to for one message (pure replay). Refuses: files, clocks, schedules.

import MailModel

/// Where a message stands after every entry about it.
struct MessageState: Hashable, Sendable {
    struct Event: Hashable, Sendable {
        var recipient: Int
        var attempt: Attempt
        var status: DeliveryStatus
    }

    /// By recipient number: the envelope's first, then those that aliases expanded to.
    var statuses: [DeliveryStatus]
    /// The recipients beyond the envelope's own.
    var expansions: [Recipient] = []
    /// For each of `expansions`, the number of the recipient it replaced.
    var parents: [Int] = []
    var attempts: [Event] = []
    /// How often the message was tried: the largest number of attempts at any one recipient.
    var tries: [Int: Int] = [:]
    var nextAttempt: Timestamp?
    /// Delay DSNs sent so far.
    var warnings = 0
    /// The reason, when held.
    var held: String?
    /// Counts if it is higher than the envelope's own.
    var generation: UInt32 = 0
    var isRemovalAsked = false

    init(recipientCount: Int, held: Bool) {
        statuses = Array(repeating: .pending, count: recipientCount)
        self.held = held ? "held from its submission" : nil
    }

    var isFinal: Bool { statuses.allSatisfy(\.isFinal) }
    var attemptCount: Int { tries.values.max() ?? 0 }

    /// Takes an entry about this message; numbers that don't exist are ignored: the journal may be damaged.
    mutating func apply(_ entry: JournalEntry) {
        switch entry {
        case .index, .carried: break
        case .attempt(_, let recipient, let attempt, let status):
            let number = Int(recipient)
            guard statuses.indices.contains(number) else { return }
            if !statuses[number].isFinal { statuses[number] = status }
            tries[number, default: 0] += 1
            attempts.append(Event(recipient: number, attempt: attempt, status: status))
        case .scheduled(_, let time): nextAttempt = time
        case .expanded(_, let recipient, let into):
            guard statuses.indices.contains(Int(recipient)), !statuses[Int(recipient)].isFinal else { return }
            statuses[Int(recipient)] = .expanded
            statuses += Array(repeating: .pending, count: into.count)
            expansions += into
            parents += Array(repeating: Int(recipient), count: into.count)
        case .held(_, let reason): held = reason
        case .released: held = nil
        case .removing: isRemovalAsked = true
        case .generation(_, let number): generation = max(generation, number)
        case .removed, .quarantined, .moved:
            statuses = statuses.map { $0.isFinal ? $0 : .removed }
        case .warned(_, let count): warnings = max(warnings, Int(count))
        }
    }
}

extension JournalEntry {
    /// The offset of the message the entry is about; nil for the index.
    var message: Int64? {
        switch self {
        case .index, .carried: nil
        case .attempt(let message, _, _, _), .scheduled(let message, _), .expanded(let message, _, _),
            .held(let message, _), .released(let message), .removed(let message), .quarantined(let message),
            .warned(let message, _), .moved(let message), .generation(let message, _),
            .removing(let message):
            message
        }
    }
}
