// Owns: the runner's log lines about deliveries and faults. Refuses: their format (CommandKit).

import CommandKit
import Logging
import MailModel
import QueueKit

extension Runner {
    func logDelivery(
        _ outcome: RecipientOutcome, _ recipient: Recipient, _ message: DueMessage, _ result: JobResult?,
        session: UInt64
    ) {
        let envelope = message.envelope
        let line = DeliveryLogLine(
            session: session, id: envelope.id, recipientNumber: outcome.number, reversePath: envelope.reversePath,
            destination: recipient.forwardPath, original: Self.original(recipient),
            delay: clock.now().since(envelope.arrival), result: outcome.attempt.result, reply: outcome.attempt.reply)
        if let result, result.job.nextHop.isLocal {
            let action = result.job.nextHop.action.flatMap { planner.router.configuration.actions[$0] }
            log.info("\(line.mda(user: action?.user ?? recipient.forwardPath.localPart))")
        } else {
            log.info("\(line.mta(source: outcome.attempt.source, relay: outcome.attempt.relay))")
        }
    }

    func tell(_ report: QueueReport) {
        switch report {
        case .arrived: break
        case .quarantined(let name, let reason): log.error("queue: \(name) moved to quarantine: \(reason)")
        case .failed(let error): faults.report(error, log)
        case .alarm(let sentence): log.critical("queue: \(sentence)")
        }
    }

    /// The address that an alias was, from ORCPT; nil when the recipient is as it was given.
    private static func original(_ recipient: Recipient) -> Mailbox? {
        guard recipient.action != nil, let text = recipient.originalRecipient,
            text.lowercased().hasPrefix("rfc822;")
        else { return nil }
        return Mailbox(text.dropFirst("rfc822;".count))
    }

    func logExpiry(_ failure: Progress.Failure, _ message: DueMessage) {
        let envelope = message.envelope
        let delay = clock.now().since(envelope.arrival).logDescription
        log.warning(
            """
            \(envelope.id) relay: expired for \(envelope.id).\(failure.outcome.number): \
            from=<\(envelope.reversePath)>, to=<\(failure.recipient.recipient.forwardPath)>, \
            rcpt=<\(Self.original(failure.recipient.recipient)?.description ?? "-")>, \
            delay=\(delay), stat=\(EscapedText.plain(failure.outcome.attempt.reply))
            """)
    }
}

/// Says each fault once a minute, not at each of a thousand tries.
struct FaultLog {
    private var said: [String: Int64] = [:]
    private let clock = SystemClock()
    static let pause: Int64 = 60_000

    mutating func report(_ error: QueueError, _ log: Logger) {
        let now = clock.monotonic()
        let sentence = error.description
        if let last = said[sentence], now - last < Self.pause { return }
        // Bounded: sentences hold paths, of which there may be many.
        if said.count > 1000 { said.removeAll() }
        said[sentence] = now
        log.error("\(sentence)")
    }
}
