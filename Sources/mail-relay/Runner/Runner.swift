// Owns: the queue runner's loop: collect, start what is due, take results, wait. Refuses: threads and sockets of its
// own; all its state belongs to the thread that calls `run`.
//
//   wait for events or the next due time -> collect -> open due messages -> route -> jobs to destinations
//        ^                                                                               |
//        +---- results: journal, log, DSN, finish <---- Carrier, one task a job ---------+

import CommandKit
import Logging
import MailModel
import QueueKit
import Routing

final class Runner {
    /// Messages under way at a time.
    static let inFlightLimit = 2000
    /// A look at the spool without being asked, in milliseconds: a lost trigger costs no more.
    static let pollInterval: Int64 = 2000

    /// After SIGTERM, transactions under way get so long to end (milliseconds): less than mail-supervise waits.
    static let stopLimit: Int64 = 20_000
    /// And sessions without one so long to hear QUIT.
    static let quitLimit: Int64 = 1000

    let queue: Queue
    let inbox: RunnerInbox
    private(set) var carrier: Carrier
    let hostname: String
    let log: Logger
    let clock = SystemClock()
    var planner: RoutePlanner
    var schedule: RetrySchedule
    var destinations = Destinations()
    var progress: [QueueID: Progress] = [:]
    var faults = FaultLog()
    private let once: Bool
    private let reload: () -> Router?
    /// Where recipients are looked up when a table has a program: whatever blocks there keeps only lookups waiting.
    let routing: WorkQueue
    /// DSNs on their way into the spool that no message in flight waits for.
    var pendingNotices = 0
    /// When to end at the latest; nil while nobody asked.
    private var stopBy: Int64?
    private var lastCollect: Int64 = 0
    /// How long the last look took: the next keeps a multiple of it away, so that looking never fills the time.
    private var collectCost: Int64 = 0
    private var wantsCollect = true
    private var lastSweep: Int64 = 0

    /// - Parameters:
    ///   - once: ends when nothing is due and nothing under way.
    ///   - reload: reads the configuration again; nil keeps the old one.
    init(
        queue: Queue, inbox: RunnerInbox, carrier: Carrier, router: Router, once: Bool, log: Logger,
        reload: @escaping () -> Router?
    ) throws(QueueError) {
        routing = try WorkQueue("routing")
        (self.queue, self.inbox, self.carrier, self.once, self.log) = (queue, inbox, carrier, once, log)
        (self.reload, hostname) = (reload, carrier.hostname)
        planner = RoutePlanner(router: router)
        schedule = RetrySchedule(router.configuration)
    }

    /// Runs until told to stop, or with `once` until nothing is left to do.
    func run() {
        while !isDone {
            if clock.monotonic() >= nextCollect { collect() }
            startDue()
            for event in inbox.take(within: waitLimit) { handle(event) }
            closeIdle()
        }
        takeLeave()
        queue.close()
        // With nothing to do, what the queue found at its start is told here, and what closing it found always.
        for case .report(let report) in inbox.take(within: 0) { tell(report) }
    }

    var isStopping: Bool { stopBy != nil }

    private var isDone: Bool {
        if let stopBy { return progress.isEmpty && pendingNotices == 0 || clock.monotonic() >= stopBy }
        guard once, progress.isEmpty, pendingNotices == 0, !queue.isCollecting else { return false }
        collect()
        guard !queue.isCollecting else { return false }
        return queue.nextDue.map { $0 > clock.monotonic() } ?? true
    }

    private func collect() {
        (lastCollect, wantsCollect) = (clock.monotonic(), false)
        queue.collect()
        collectCost = clock.monotonic() - lastCollect
    }

    private var nextCollect: Int64 {
        lastCollect + (wantsCollect ? min(4 * collectCost, Self.pollInterval) : Self.pollInterval)
    }

    private var waitLimit: Int64 {
        let now = clock.monotonic()
        var limit = nextCollect - now
        if destinations.idleCount > 0 { limit = min(limit, Destinations.idleLimit / 2) }
        if let stopBy { limit = min(limit, stopBy - now) }
        if stopBy == nil, progress.count < Self.inFlightLimit, let due = queue.nextDue {
            limit = min(limit, due - now)
        }
        return limit
    }

    private func handle(_ event: RunnerEvent) {
        switch event {
        case .wake: wantsCollect = true
        case .routed(let id, let decisions): routed(id, decisions)
        case .ended(let result): take(result)
        case .notified(let id, let error): notified(id, error)
        case .warned(let id, let count, let error): warned(id, count: count, error)
        case .told(let error):
            pendingNotices -= 1
            if let error { faults.report(error, log) }
        case .order(let order, let answer): carryOut(order, answer)
        case .report(let report): tell(report)
        case .reload: if let router = reload() { takeUp(router) }
        case .stop: stop()
        }
    }

    private func takeUp(_ router: Router) {
        let old = planner.router.configuration
        planner = RoutePlanner(router: router)
        schedule = RetrySchedule(router.configuration)
        queue.follow(schedule)
        carrier.follow(router.configuration, instead: old)
    }

    private func stop() {
        guard stopBy == nil else { return }
        stopBy = clock.monotonic() + Self.stopLimit
        log.info("queue: stopping, deliveries under way: \(progress.count)")
    }

    private func startDue() {
        guard stopBy == nil else { return }
        for id in queue.takeDue(limit: Self.inFlightLimit - progress.count) { attempt(id) }
    }

    /// What a person ordered is durable before it is answered.
    private func carryOut(
        _ order: QueueOrder, _ answer: @escaping @Sendable (Result<OrderResult, QueueError>) -> Void
    ) {
        collect()
        do throws(QueueError) {
            let result = try queue.carryOut(order)
            queue.whenDurable { error in answer(error.map(Result.failure) ?? .success(result)) }
        } catch {
            answer(.failure(error))
        }
    }

    private func closeIdle() {
        let now = clock.monotonic()
        guard destinations.idleCount > 0, now - lastSweep >= Destinations.idleLimit / 2 else { return }
        lastSweep = now
        for open in destinations.closeIdle(now: now) { close(open) }
    }

    /// At the end: says QUIT to all, and waits a moment for it to be heard.
    private func takeLeave() {
        let open = destinations.closeIdle(now: clock.monotonic(), all: true)
        let left = Monitor(open.count)
        for open in open {
            Task {
                await open.connection.quit()
                left.update { $0 -= 1 }
            }
        }
        left.wait(limit: Self.quitLimit) { $0 == 0 ? () : nil }
    }

    func close(_ open: OpenConnection) {
        Task { await open.connection.quit() }
    }
}

extension RetrySchedule {
    init(_ configuration: Configuration) {
        self.init(pauses: configuration.retryPauses, ttl: configuration.queueTTL)
    }
}
