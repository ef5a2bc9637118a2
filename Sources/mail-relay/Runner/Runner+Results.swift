// Owns: from results to the journal: recording, failing what has expired, the DSN before the failure, finishing.
// Refuses: the DSN's text (Notices).

import MailModel
import QueueKit
import SMTPProtocol

extension Runner {
    func take(_ result: JobResult) {
        if let open = destinations.end(result, now: clock.monotonic()) { close(open) }
        record(result)
        if result.isUnreachable {
            // Ten thousand messages for a dead host cost one attempt at it, not ten thousand.
            for job in destinations.giveUp(result.job.nextHop) {
                var same = result
                same.job = job
                same.results = Array(repeating: result.results[0], count: job.numbers.count)
                record(same)
            }
        }
        start(result.job.nextHop)
    }

    private func record(_ result: JobResult) {
        let id = result.job.id
        guard var current = progress[id] else { return }
        current.jobs -= 1
        if result.isDamaged { current.isDamaged = true }
        var outcomes: [RecipientOutcome] = []
        for (number, answer) in zip(result.job.numbers, result.results) {
            guard let recipient = current.recipients[number] else { continue }
            let outcome = outcome(number, answer, result)
            logDelivery(outcome, recipient, current.message, result, session: result.session)
            let failure = Progress.Failure(
                recipient: .init(number: number, recipient: recipient), outcome: outcome, peerSpoke: answer.isFromPeer)
            switch answer.result {
            case .ok: outcomes.append(outcome)
            case .temporaryFailure: current.deferred.append(failure)
            case .permanentFailure: current.failures.append(failure)
            }
        }
        progress[id] = current
        do throws(QueueError) { try queue.record(id, outcomes) } catch { faults.report(error, log) }
        if current.jobs == 0 { conclude(id) }
    }

    private func outcome(_ number: Int, _ answer: RecipientResult, _ result: JobResult) -> RecipientOutcome {
        let attempt = Attempt(
            time: clock.now(), result: answer.result, status: answer.status, reply: answer.reply,
            relay: result.relay, source: result.source)
        let status: DeliveryStatus =
            switch answer.result {
            case .ok: .delivered
            case .temporaryFailure: .deferred
            case .permanentFailure: .failed
            }
        return RecipientOutcome(number: number, attempt: attempt, status: status)
    }

    /// All jobs of the message are over: what has expired fails; failures get their DSN first, then are final.
    func conclude(_ id: QueueID) {
        guard var current = progress[id], current.jobs == 0, !current.isNotifying else { return }
        if current.isDamaged {
            progress[id] = nil
            return queue.setAside(id)
        }
        expire(&current)
        warn(current)
        do throws(QueueError) {
            try queue.record(id, current.deferred.map(\.outcome))
        } catch {
            faults.report(error, log)
        }
        current.deferred = []
        guard !current.failures.isEmpty else {
            progress[id] = nil
            return finish(id)
        }
        current.isNotifying = true
        progress[id] = current
        notify(current) { [inbox] error in inbox.post(.notified(id, error)) }
    }

    /// Every message gets an attempt first, also after a step of the wall clock; then one that is older than its time
    /// fails.
    private func expire(_ current: inout Progress) {
        let (arrival, now) = (current.message.envelope.arrival, clock.now())
        let isLate = current.deferred.map { failure in
            let action = current.actions[failure.recipient.number] ?? failure.recipient.recipient.action
            let ttl = action.flatMap { planner.router.configuration.actions[$0]?.ttl }
            return schedule.isExpired(arrival: arrival, now: now, ttl: ttl)
        }
        let late = zip(current.deferred, isLate).filter(\.1).map(\.0)
        current.deferred = zip(current.deferred, isLate).filter { !$0.1 }.map(\.0)
        for var failure in late {
            failure.outcome.status = .failed
            failure.outcome.attempt.result = .permanentFailure
            // RFC 3463 X.4.7: delivery time expired.
            failure.outcome.attempt.status = EnhancedStatusCode(5, 4, 7)
            logExpiry(failure, current.message)
            current.failures.append(failure)
        }
    }

    /// The DSN is durable (or none is due): the failures may be final. When it could not be stored they stay deferred.
    func notified(_ id: QueueID, _ error: QueueError?) {
        guard let current = progress.removeValue(forKey: id) else { return }
        var outcomes = current.failures.map(\.outcome)
        if let error {
            faults.report(error, log)
            for index in outcomes.indices { outcomes[index].status = .deferred }
        }
        do throws(QueueError) { try queue.record(id, outcomes) } catch { faults.report(error, log) }
        finish(id)
    }

    private func finish(_ id: QueueID) {
        do throws(QueueError) {
            if try queue.finish(id) == nil { log.info("\(id) removed from queue") }
        } catch {
            faults.report(error, log)
        }
    }
}
