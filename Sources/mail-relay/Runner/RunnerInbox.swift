// Owns: what other threads tell the runner's thread, and its waiting for them. Refuses: acting on it.

import CommandKit
import MailModel
import QueueKit

/// What the runner's thread acts on.
enum RunnerEvent: Sendable {
    /// There may be new mail, or a helper finished.
    case wake
    /// Where the recipients of a message go, by number.
    case routed(QueueID, [Int: RouteDecision])
    case ended(JobResult)
    /// A DSN is durable (or not): its message's failures may be recorded.
    case notified(QueueID, QueueError?)
    /// A delay DSN is durable (or not): so many were sent about the message.
    case warned(QueueID, count: Int, QueueError?)
    /// A DSN about an alias's members is durable, or not.
    case told(QueueError?)
    case order(QueueOrder, @Sendable (Result<OrderResult, QueueError>) -> Void)
    case report(QueueReport)
    case reload
    case stop
}

final class RunnerInbox: Sendable {
    private let events = Monitor<[RunnerEvent]>([])

    func post(_ event: RunnerEvent) {
        events.update { events in
            // One wake says as much as many.
            if case .wake = event, case .wake? = events.last { return }
            events.append(event)
        }
    }

    /// All that came, or nothing after `limit` milliseconds.
    func take(within limit: Int64) -> [RunnerEvent] {
        events.wait(limit: max(0, limit)) { events in
            guard !events.isEmpty else { return nil }
            defer { events = [] }
            return events
        } ?? []
    }
}
