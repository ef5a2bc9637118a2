// Owns: when a DSN is due and what goes into it; its envelope. Refuses: its format (DSNMessage).

import CommandKit
import MailModel
import QueueKit
import Routing
import SMTPProtocol

extension Runner {
    /// The whole message is returned up to this size, whatever RET asks for.
    static let fullReturnLimit: Int64 = 1 << 20
    static let headerReturnLimit = 64 << 10

    /// Stores the DSN about a message's failures; `done` is told once it is durable, or at once when none is due.
    func notify(_ current: Progress, done: @escaping @Sendable (QueueError?) -> Void) {
        let told = current.failures.filter { $0.recipient.recipient.wantsFailureDSN }
        notify(current.message, told.map(dsnRecipient), numbers: told.map(\.recipient.number), "failed", done: done)
    }

    /// `bounce warn-interval`: a message that is still tried after one of its times is told of, once for each.
    func warn(_ current: Progress) {
        let (envelope, now) = (current.message.envelope, clock.now())
        let age = now.since(envelope.arrival)
        let count = planner.router.configuration.bounceWarnIntervals.count { $0 <= age }
        guard count > current.message.warnings, envelope.reversePath != .null else { return }
        let late = current.deferred.filter { $0.recipient.recipient.wantsDelayDSN }
        guard !late.isEmpty else { return }
        let told = late.map { failure in
            var recipient = dsnRecipient(failure)
            recipient.action = .delayed
            recipient.willRetryUntil = envelope.arrival.advanced(by: schedule.ttl)
            return recipient
        }
        let id = envelope.id
        pendingNotices += 1
        notify(current.message, told, numbers: late.map(\.recipient.number), "delayed \(count)") { [inbox] error in
            inbox.post(.warned(id, count: count, error))
        }
    }

    /// The delay DSN is durable, or could not be made so and is sent after the next attempt.
    func warned(_ id: QueueID, count: Int, _ error: QueueError?) {
        pendingNotices -= 1
        if let error { return faults.report(error, log) }
        do throws(QueueError) { try queue.markWarned(id, count: count) } catch { faults.report(error, log) }
    }

    /// Members of an alias that can't be delivered beside others that can: told of at once, by the alias's address.
    func notifyOfRefusedMembers(
        _ recipient: DueMessage.Outstanding, _ refused: [AliasError], _ message: DueMessage
    ) {
        guard !refused.isEmpty, recipient.recipient.wantsFailureDSN else { return }
        let told = refused.map { error in
            DSNRecipient(
                finalRecipient: recipient.recipient.forwardPath,
                originalRecipient: recipient.recipient.originalRecipient, action: .failed, status: error.status,
                reply: error.summary, peerSpoke: false, lastAttempt: clock.now())
        }
        pendingNotices += 1
        // The members that can be delivered don't wait for it; a DSN that can't be stored is in the log.
        notify(message, told, numbers: [recipient.number], "alias") { [inbox] error in inbox.post(.told(error)) }
    }

    private func notify(
        _ message: DueMessage, _ told: [DSNRecipient], numbers: [Int], _ cause: String,
        done: @escaping @Sendable (QueueError?) -> Void
    ) {
        let envelope = message.envelope
        guard !told.isEmpty else { return done(nil) }
        guard let sender = envelope.reversePath.mailbox else {
            // RFC 5321 §4.5.5: never a DSN about a DSN.
            log.warning("\(envelope.id) dropped: it failed and has the null reverse-path, so nobody is told")
            return done(nil)
        }
        let returned: DSNMessage.Returned
        do throws(QueueError) { returned = try self.returned(message) } catch { return done(error) }
        let now = clock.now()
        let notice = DSNMessage(
            reportingMTA: hostname, recipient: sender, recipients: told, envelopeID: envelope.envelopeID,
            arrival: envelope.arrival, returned: returned, now: now,
            offsetMinutes: Machine.offsetMinutes(atSeconds: now.seconds), token: Self.token())
        let id = QueueID.derived(from: envelope.id, recipients: numbers, cause: cause)
        let own = Envelope(
            id: id, arrival: now, reversePath: .null, recipients: [Recipient(sender)],
            origin: .notification(about: envelope.id), body: notice.body, smtpUTF8: notice.needsSMTPUTF8)
        log.info("\(envelope.id) DSN id=\(id) to=<\(sender)> recipients=\(told.count)")
        queue.submit(own, content: notice.bytes, done: done)
    }

    private func dsnRecipient(_ failure: Progress.Failure) -> DSNRecipient {
        let attempt = failure.outcome.attempt
        let host = attempt.relay.split(separator: "/", maxSplits: 1).first.map(String.init)
        return DSNRecipient(
            finalRecipient: failure.recipient.recipient.forwardPath,
            originalRecipient: failure.recipient.recipient.originalRecipient, action: .failed,
            status: attempt.status, reply: attempt.reply, peerSpoke: failure.peerSpoke,
            remoteMTA: failure.peerSpoke ? host : nil, lastAttempt: attempt.time)
    }

    /// RET (RFC 3461 §4.3): the header unless the whole was asked for and is small.
    private func returned(_ message: DueMessage) throws(QueueError) -> DSNMessage.Returned {
        let content = message.content()
        var bytes: [UInt8] = []
        if message.envelope.returnContent == .full, message.size <= Self.fullReturnLimit {
            while let piece = try content.next() { bytes += piece }
            return .full(bytes)
        }
        while bytes.count < Self.headerReturnLimit, let piece = try content.next() { bytes += piece }
        let scanner = HeaderScanner(scanning: bytes, limit: Self.headerReturnLimit)
        return .headers(Array(scanner.bytes))
    }

    private static func token() -> String {
        (0..<4).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
    }
}
