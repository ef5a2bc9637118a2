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

    init(recipientCount: Int, held: Bool) {
        statuses = Array(repeating: .pending, count: recipientCount)
        self.held = held ? "held from its submission" : nil
    }

    var isFinal: Bool { statuses.allSatisfy(\.isFinal) }
    var attemptCount: Int { tries.values.max() ?? 0 }

    /// Takes an entry about this message; numbers that don't exist are ignored: the journal may be damaged.
    mutating func apply(_ entry: JournalEntry) {
        switch entry {
        case .index: break
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
        case .removed, .quarantined:
            statuses = statuses.map { $0.isFinal ? $0 : .removed }
        case .warned(_, let count): warnings = max(warnings, Int(count))
        }
    }

    /// The same state as entries, for a new journal after a failed sync.
    func entries(message: Int64, envelopeHeld: Bool) -> [JournalEntry] {
        var result: [JournalEntry] = []
        var start = 0
        while start < expansions.count {
            let parent = parents[start]
            let end = parents[start...].firstIndex { $0 != parent } ?? expansions.count
            result.append(.expanded(message: message, recipient: UInt32(parent), into: Array(expansions[start..<end])))
            start = end
        }
        for event in attempts {
            result.append(
                .attempt(message: message, recipient: UInt32(event.recipient), event.attempt, event.status))
        }
        if let nextAttempt { result.append(.scheduled(message: message, nextAttempt)) }
        if warnings > 0 { result.append(.warned(message: message, count: UInt32(clamping: warnings))) }
        if let held { result.append(.held(message: message, reason: held)) }
        if held == nil && envelopeHeld { result.append(.released(message: message)) }
        if statuses.contains(.removed) { result.append(.removed(message: message)) }
        return result
    }
}

extension JournalEntry {
    /// The offset of the message the entry is about; nil for the index.
    var message: Int64? {
        switch self {
        case .index: nil
        case .attempt(let message, _, _, _), .scheduled(let message, _), .expanded(let message, _, _),
            .held(let message, _), .released(let message), .removed(let message), .quarantined(let message),
            .warned(let message, _):
            message
        }
    }
}
