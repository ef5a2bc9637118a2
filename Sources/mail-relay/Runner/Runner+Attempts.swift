// Owns: from a due message to its jobs: opening, routing, expanding. Refuses: results (Runner+Results).

import MailModel
import QueueKit
import Routing
import SMTPProtocol

extension Runner {
    /// RFC 5321 §4.5.3.1.8: every server takes a hundred recipients in a transaction; the agent takes no more.
    static let recipientLimit = 100

    /// Opens a message, routes each recipient that is left, and starts the jobs.
    func attempt(_ id: QueueID) {
        let message: DueMessage
        do throws(QueueError) {
            message = try queue.open(id)
        } catch {
            return faults.report(error, log)
        }
        let current = Progress(message)
        guard planner.asksPrograms else {
            return begin(id, current, planner.decide(message.outstanding, of: message.envelope))
        }
        progress[id] = current
        planner.inquire(message.outstanding, of: message.envelope, on: { [routing] in routing.run($0) }) {
            [inbox] decisions in inbox.post(.routed(id, decisions))
        }
    }

    /// What the programs of tables were asked for is there.
    func routed(_ id: QueueID, _ decisions: [Int: RouteDecision]) {
        guard let current = progress[id] else { return }
        guard !isStopping else {
            progress[id] = nil
            return giveBack(id)
        }
        begin(id, current, decisions)
    }

    private func begin(_ id: QueueID, _ opened: Progress, _ decisions: [Int: RouteDecision]) {
        var current = opened
        let message = current.message
        let jobs: [Job]
        do throws(QueueError) {
            jobs = try plan(&current, decisions) { () throws(QueueError) in try JobContent(message) }
        } catch {
            progress[id] = nil
            return give(up: id, error)
        }
        current.jobs = jobs.count
        progress[id] = current
        for job in jobs { destinations.add(job) }
        for nextHop in Set(jobs.map(\.nextHop)) { start(nextHop) }
        if jobs.isEmpty { conclude(id) }
    }

    /// Groups the recipients with the same next hop and reverse-path into one job.
    private func plan(
        _ current: inout Progress, _ decisions: [Int: RouteDecision],
        _ content: () throws(QueueError) -> JobContent
    ) throws(QueueError) -> [Job] {
        var groups: [Group: [DueMessage.Outstanding]] = [:]
        var pending = current.message.outstanding
        while let next = pending.popLast() {
            // Members of an alias have their action: nothing is looked up for them.
            let decision =
                decisions[next.number]
                ?? planner.decide(next.recipient, of: current.message.envelope, isMember: true)
            switch decision {
            case .deliver(let nextHop, let reversePath, let action):
                current.actions[next.number] = action
                groups[Group(nextHop: nextHop, reversePath: reversePath), default: []].append(next)
            case .refuse(let error): refuse(next, error, &current)
            case .expand(let members, let refused):
                pending += try expand(next, members, refused, &current)
            }
        }
        var jobs: [Job] = []
        for (group, recipients) in groups {
            let sorted = recipients.sorted { $0.number < $1.number }
            for start in stride(from: 0, to: sorted.count, by: Self.recipientLimit) {
                let some = Array(sorted[start..<min(start + Self.recipientLimit, sorted.count)])
                jobs.append(job(current.message, group, some, try content()))
            }
        }
        return jobs
    }

    private struct Group: Hashable {
        var nextHop: NextHop
        var reversePath: ReversePath
    }

    private func job(
        _ message: DueMessage, _ group: Group, _ recipients: [DueMessage.Outstanding], _ content: JobContent
    ) -> Job {
        let envelope = message.envelope
        let mail = OutgoingMail(
            reversePath: group.reversePath, recipients: recipients.map(\.recipient), action: group.nextHop.action,
            size: Int(message.size), body: envelope.body, smtpUTF8: envelope.smtpUTF8,
            returnContent: envelope.returnContent, envelopeID: envelope.envelopeID,
            sendsUserNames: group.nextHop.sendsUserNames)
        return Job(
            id: envelope.id, nextHop: group.nextHop, mail: mail, numbers: recipients.map(\.number), content: content)
    }

    /// Puts the members of an alias in the recipient's place, durably known before any of them is tried.
    private func expand(
        _ recipient: DueMessage.Outstanding, _ members: [Recipient], _ refused: [AliasError],
        _ current: inout Progress
    ) throws(QueueError) -> [DueMessage.Outstanding] {
        let id = current.message.envelope.id
        let numbers = try queue.expand(id, recipient: recipient.number, into: members)
        log.info("\(id) expanded to=<\(recipient.recipient.forwardPath)> recipients=\(members.count)")
        var result: [DueMessage.Outstanding] = []
        for (number, member) in zip(numbers, members) {
            current.recipients[number] = member
            result.append(DueMessage.Outstanding(number: number, recipient: member))
        }
        notifyOfRefusedMembers(recipient, refused, current.message)
        return result
    }

    private func refuse(_ recipient: DueMessage.Outstanding, _ error: AliasError, _ current: inout Progress) {
        let attempt = Attempt(
            time: clock.now(), result: error.isTemporary ? .temporaryFailure : .permanentFailure,
            status: error.status, reply: error.summary)
        let outcome = RecipientOutcome(
            number: recipient.number, attempt: attempt, status: error.isTemporary ? .deferred : .failed)
        logDelivery(outcome, recipient.recipient, current.message, nil, session: .random(in: .min ... .max))
        let failure = Progress.Failure(recipient: recipient, outcome: outcome, peerSpoke: false)
        if error.isTemporary { current.deferred.append(failure) } else { current.failures.append(failure) }
    }

    /// Starts what may start for a next hop, each job in a task of its own.
    func start(_ nextHop: NextHop) {
        for (job, open) in destinations.start(nextHop) {
            Task { [carrier, inbox] in inbox.post(.ended(await carrier.carry(job, over: open))) }
        }
    }

    /// An attempt that failed on our side before anything was sent.
    private func give(up id: QueueID, _ error: QueueError) {
        faults.report(error, log)
        if error.kind == .corrupt { return queue.setAside(id) }
        giveBack(id)
    }

    /// Ends an attempt without a result.
    private func giveBack(_ id: QueueID) {
        do throws(QueueError) { _ = try queue.finish(id) } catch { faults.report(error, log) }
    }
}
