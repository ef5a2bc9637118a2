// Owns: working on the queue in the runner's place when nobody runs it: its user, its lock, its drops, one order.
// Refuses: attempts; mail-relay makes those.

import CommandKit
import Glibc
import KeyKit
import MailModel
import QueueKit
import SystemPackage

enum OwnRunner {
    /// For the order to be on disk.
    private static let syncLimit = Duration.seconds(60)
    /// For the drops of `offline/` to be copied, in all and without one going.
    private static let collectLimit = Duration.seconds(30)
    private static let stallLimit = Duration.seconds(2)

    /// - Returns: nil when another process has the runner's lock.
    static func carryOut(_ order: QueueOrder, _ spool: Spool) throws -> ControlReply? {
        guard let queue = try start(spool) else { return nil }
        defer { queue.close() }
        collectDrops(queue)
        do throws(QueueError) {
            let result = try queue.carryOut(order)
            try wait(until: queue)
            return ControlReply(
                changed: result.changed.map(\.description), unchanged: result.unchanged.map(\.description))
        } catch {
            return ControlReply(CommandFailure(error))
        }
    }

    /// Becomes the runner, which recovers the queue.
    ///
    /// - Returns: nil when another process has the runner's lock.
    static func start(
        _ spool: Spool, tell: @escaping @Sendable (QueueReport) -> Void = tell
    ) throws(CommandFailure) -> Queue? {
        // As root: the spool's owner may not be able to read the passphrase.
        let keys = try mayRun(spool.layout) ? spool.keys.runner() : .none
        try becomeOwner(of: spool.layout)
        return try open(spool, keys, tell)
    }

    private static func open(
        _ spool: Spool, _ keys: RunnerKeys, _ tell: @escaping @Sendable (QueueReport) -> Void
    ) throws(CommandFailure) -> Queue? {
        let configuration = spool.configuration
        var options = QueueOptions(
            schedule: RetrySchedule(pauses: configuration.retryPauses, ttl: configuration.queueTTL),
            sizeLimit: Int64(configuration.maxMessageSize))
        (options.keys, options.protection) = (keys.ring, keys.protection)
        options.ledger = spool.ledger
        do throws(QueueError) {
            return try Queue(spool.layout, options, report: tell, wake: {})
        } catch {
            if error.kind == .locked { return nil }
            guard error.cause == .permissionDenied else { throw CommandFailure(error) }
            throw CommandFailure(
                .noPermission,
                "nobody runs the queue in \(spool.layout.root), and only its owner may change it then. "
                    + "Start mail-relay, or run this as root or as the owner.")
        }
    }

    private static func tell(_ report: QueueReport) {
        switch report {
        case .arrived: break
        case .quarantined(let name, let reason): Diagnostic.print("moved \(name) to quarantine. \(reason)")
        case .failed(let error): Diagnostic.print(error.description)
        case .alarm(let sentence): Diagnostic.print(sentence)
        }
    }

    /// Others are told so when they try.
    private static func mayRun(_ layout: SpoolLayout) -> Bool {
        var status = stat()
        return geteuid() == 0 || (lstat(layout.root, &status) == 0 && status.st_uid == geteuid())
    }

    /// What root wrote, the runner could not write on.
    private static func becomeOwner(of layout: SpoolLayout) throws(CommandFailure) {
        var status = stat()
        guard geteuid() == 0, lstat(layout.root, &status) == 0, status.st_uid != 0 else { return }
        var group = status.st_gid
        guard setgroups(1, &group) == 0, setgid(group) == 0, setuid(status.st_uid) == 0 else {
            throw CommandFailure(.osError, "become the owner of \(layout.root)", Errno(rawValue: errno))
        }
    }

    /// Drops are messages like all others to whoever gives the order. One that can't be taken is left to mail-relay.
    private static func collectDrops(_ queue: Queue) {
        let path = queue.layout.path(.offline)
        var waiting = drops(in: path)
        queue.collect()
        let start = ContinuousClock.now
        var progress = start
        while !waiting.isEmpty, ContinuousClock.now - start < collectLimit,
            ContinuousClock.now - progress < stallLimit
        {
            usleep(5000)
            queue.collect()
            let left = waiting.intersection(drops(in: path))
            if left.count < waiting.count { progress = .now }
            waiting = left
        }
        queue.collect()
    }

    private static func drops(in path: String) -> Set<String> {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: Set<String> = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".drop") { names.insert(name) }
        }
        return names
    }

    private static func wait(until queue: Queue) throws(QueueError) {
        let failure: QueueError?
        do throws(CommandFailure) {
            let (answer, giver) = try Answer<QueueError?>.make()
            queue.whenDurable { giver.give($0) }
            failure = try answer.wait(within: syncLimit)
        } catch {
            throw QueueError(.system, "make the order durable", explanation: error.sentence)
        }
        if let failure { throw failure }
    }
}
