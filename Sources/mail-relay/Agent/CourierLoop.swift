// Owns: the courier's thread: which messages are under way, which wait for room, which processes have still to end.
// Refuses: what goes through a process's pipes (Delivery).

import CommandKit
import DequeModule
import Glibc
import Logging
import SMTPProtocol

final class CourierLoop {
    private final class Parcel {
        let deliveries: [Delivery]
        var octets = 0
        var done: (@Sendable ([Reply]) -> Void)?
        init(_ deliveries: [Delivery]) { self.deliveries = deliveries }
    }

    /// A process of which nothing more is wanted but its end.
    private struct Leaving {
        let child: ChildProcess
        let uid: UInt32
        var killAt: ContinuousClock.Instant
        var isKilled = false
        var lookAt: ContinuousClock.Instant
        var pause = Duration.milliseconds(2)
    }

    private let ear: Int32
    private let limits: Courier.Limits
    private let log: Logger
    private let launch: () -> ProcessLaunch
    private let takeAll: () -> [Courier.Message]

    private var parcels: [UInt64: Parcel] = [:]
    private var waiting = Deque<UInt64>()
    private var running: [Delivery] = []
    private var leaving: [Leaving] = []
    private var isStopping = false

    init(
        ear: Int32, limits: Courier.Limits, log: Logger, launch: @escaping () -> ProcessLaunch,
        takeAll: @escaping () -> [Courier.Message]
    ) {
        (self.ear, self.limits, self.log, self.launch, self.takeAll) = (ear, limits, log, launch, takeAll)
    }

    func run() {
        while !(isStopping && parcels.isEmpty && leaving.isEmpty) {
            wait()
            for message in takeAll() { take(message) }
            admit()
            for delivery in running { delivery.step() }
            endLate()
            release()
            reap()
            answer()
        }
    }

    // MARK: Waiting

    private func wait() {
        var entries = [pollfd(fd: ear, events: Int16(POLLIN), revents: 0)]
        for delivery in running { entries += delivery.polls }
        // Interrupted or not, everything is looked at afterwards.
        _ = poll(&entries, nfds_t(entries.count), timeout)
        guard entries[0].revents != 0 else { return }
        var strokes = [UInt8](repeating: 0, count: 64)
        _ = read(ear, &strokes, strokes.count)
    }

    /// Milliseconds to the next thing to look at; -1 when there is none.
    private var timeout: Int32 {
        let next = (running.compactMap(\.deadline) + leaving.map(\.lookAt)).min()
        guard let next else { return -1 }
        let (seconds, attoseconds) = (next - .now).components
        let milliseconds = min(seconds, 3600) * 1000 + attoseconds / 1_000_000_000_000_000 + 1
        return Int32(clamping: max(0, milliseconds))
    }

    // MARK: Messages

    private func take(_ message: Courier.Message) {
        switch message {
        case .begin(let number, let orders):
            parcels[number] = Parcel(orders.map { Delivery($0, limits) })
            waiting.append(number)
        case .content(let number, let chunk):
            guard let parcel = parcels[number] else { return }
            parcel.octets += chunk.bytes.count
            for delivery in parcel.deliveries { delivery.append(chunk) }
        case .commit(let number, let done):
            guard let parcel = parcels[number] else { return }
            parcel.done = done
            for delivery in parcel.deliveries { delivery.finish(octets: parcel.octets) }
        case .abort(let number):
            for delivery in parcels.removeValue(forKey: number)?.deliveries ?? [] { delivery.breakOff() }
            waiting.removeAll { $0 == number }
        case .stop: isStopping = true
        }
    }

    /// Starts the processes of the message that waits longest, as soon as there is room for all of them.
    private func admit() {
        while let number = waiting.first, let parcel = parcels[number] {
            let busy = running.count + leaving.count { !$0.isKilled }
            guard busy == 0 || busy + parcel.deliveries.count <= limits.processes else { return }
            waiting.removeFirst()
            for delivery in parcel.deliveries { start(delivery) }
        }
    }

    private func start(_ delivery: Delivery) {
        let uid = delivery.order.uid
        // A user whose processes cannot even be killed (a file system that hangs) must not gather more of them.
        guard !leaving.contains(where: { $0.isKilled && $0.uid == uid }) else {
            return delivery.refuse(
                Reply(451, .init(4, 2, 0), "An earlier delivery to this user still hangs. Try again later"))
        }
        var process = launch()
        process.identity = delivery.order.identity
        process.grouping = .newSession
        process.directory = "/"
        do throws(CommandFailure) {
            try delivery.start(process)
            running.append(delivery)
        } catch {
            log.error("\(error.sentence)", metadata: ["uid": "\(uid)"])
        }
    }

    private func answer() {
        for (number, parcel) in parcels {
            let replies = parcel.deliveries.compactMap(\.reply)
            guard let done = parcel.done, replies.count == parcel.deliveries.count else { continue }
            parcels[number] = nil
            done(replies)
        }
    }

    // MARK: Processes

    private func endLate() {
        for delivery in running where delivery.deadline.map({ $0 <= .now }) ?? false {
            log.error("a delivery was stopped: it made no progress", metadata: metadata(delivery))
            delivery.expire()
        }
    }

    /// Lets go of processes whose answer is known, and of those that nobody waits for.
    private func release() {
        running.removeAll { delivery in
            guard delivery.isOver else { return false }
            if let child = delivery.takeChild() {
                leaving.append(
                    Leaving(
                        child: child, uid: delivery.order.uid, killAt: .now + limits.leave, lookAt: .now))
            }
            return true
        }
    }

    private func reap() {
        let now = ContinuousClock.now
        for index in leaving.indices.reversed() where leaving[index].lookAt <= now {
            if hasEnded(leaving[index]) {
                leaving.remove(at: index)
                continue
            }
            if leaving[index].killAt <= now {
                leaving[index].child.kill()
                leaving[index].isKilled = true
            }
            leaving[index].pause = min(leaving[index].pause * 2, .seconds(1))
            leaving[index].lookAt = now + leaving[index].pause
        }
    }

    private func hasEnded(_ process: Leaving) -> Bool {
        do throws(CommandFailure) {
            guard let outcome = try process.child.outcome() else { return false }
            if !outcome.isSuccess { log.error("a delivery \(outcome)", metadata: ["uid": "\(process.uid)"]) }
        } catch {
            log.error("\(error.sentence)")
        }
        return true
    }

    private func metadata(_ delivery: Delivery) -> Logger.Metadata {
        ["uid": "\(delivery.order.uid)", "maildir": "\(delivery.order.job.maildir)"]
    }
}
