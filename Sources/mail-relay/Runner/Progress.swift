// Owns: what is known of a message while an attempt at it is under way. Refuses: the queue.

import MailModel
import QueueKit

/// One message in flight. Recipients that failed for good wait here until the DSN about them is durable.
struct Progress {
    struct Failure {
        var recipient: DueMessage.Outstanding
        var outcome: RecipientOutcome
        /// Whether the reply is a peer's.
        var peerSpoke: Bool
    }

    let message: DueMessage
    /// Recipients by number, those of expansions included.
    var recipients: [Int: Recipient]
    /// The action that each recipient goes by, for its time limit and the log.
    var actions: [Int: String] = [:]
    var jobs = 0
    var failures: [Failure] = []
    /// Put off, with the last reply: they fail when the message has expired.
    var deferred: [Failure] = []
    var isDamaged = false
    /// Set while the DSN is on its way into the spool.
    var isNotifying = false

    init(_ message: DueMessage) {
        self.message = message
        recipients = Dictionary(
            message.outstanding.map { ($0.number, $0.recipient) }, uniquingKeysWith: { first, _ in first })
    }
}
