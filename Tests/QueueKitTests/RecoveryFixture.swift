// A runner driven by hand over any system calls, and messages that can be told apart.

import Glibc
import MailModel
import Testing

@testable import QueueKit

/// A runner's queue with what it reported.
final class TestRunner {
    let queue: Queue
    let reports: Monitor<[QueueReport]>
    let clock: FixedClock
    private let woken: Monitor<Bool>

    init(
        _ spool: TemporarySpool, _ syscalls: any Syscalls = FaultySyscalls(), clock: FixedClock = FixedClock(),
        sizeLimit: Int64 = 10 << 20, protection: Protection? = nil, keys: KeyRing? = nil
    ) throws {
        let (reports, woken) = (Monitor<[QueueReport]>([]), Monitor(false))
        (self.reports, self.woken, self.clock) = (reports, woken, clock)
        var options = QueueOptions(
            schedule: RetrySchedule(pauses: [.seconds(60), .seconds(600)], ttl: .seconds(86400)), sizeLimit: sizeLimit)
        (options.clock, options.syscalls) = (clock, syscalls)
        try options.protect()
        if let protection { (options.protection, options.keys) = (protection, keys) }
        queue = try Self.patiently {
            try Queue(
                spool.layout, options, report: { report in reports.update { $0.append(report) } },
                wake: { woken.update { $0 = true } })
        }
    }

    /// A process that another test starts holds copies of all descriptors, locks included, until it is loaded.
    private static func patiently(_ make: () throws -> Queue) throws -> Queue {
        for _ in 0..<200 {
            do { return try make() } catch let error as QueueError where error.kind == .locked { usleep(5000) }
        }
        return try make()
    }

    var failures: [QueueError] {
        reports.access { $0.compactMap { if case .failed(let error) = $0 { error } else { nil } } }
    }
    var quarantined: [String] {
        reports.access { $0.compactMap { if case .quarantined(_, let reason) = $0 { reason } else { nil } } }
    }

    /// Collects until `condition` holds; false when it never did, or `unless` holds.
    @discardableResult
    func collect(rounds: Int = 4000, unless stopped: () -> Bool = { false }, until condition: () -> Bool) -> Bool {
        for _ in 0..<rounds {
            queue.collect()
            if condition() { return true }
            if stopped() { return false }
            // What failed is tried again after a pause.
            clock.advance(.milliseconds(100))
            _ = woken.wait(limit: 2) { woken in
                defer { woken = false }
                return woken ? true : nil
            }
        }
        return false
    }

    /// Waits until all that was recorded is durable; false when it could not be made so.
    @discardableResult
    func settle() -> Bool {
        let done = Monitor<Bool?>(nil)
        queue.whenDurable { error in done.update { $0 = error == nil } }
        let result = done.wait(limit: 5000) { $0 }
        queue.collect()
        return result ?? false
    }

    /// One attempt at one message, every recipient with the same end.
    func attempt(_ id: QueueID, _ status: DeliveryStatus) throws {
        let message = try queue.open(id)
        try queue.record(id, message.outstanding.map { outcome($0.number, status) })
        try queue.finish(id)
    }

    func outcome(_ number: Int, _ status: DeliveryStatus) -> RecipientOutcome {
        let attempt = Attempt(
            time: clock.now(), result: status == .delivered ? .ok : .temporaryFailure,
            status: EnhancedStatusCode(status == .delivered ? 2 : 4, 0, 0), reply: "250 or 450")
        return RecipientOutcome(number: number, attempt: attempt, status: status)
    }

    /// Delivers all that is due, gives the content of each.
    func deliverAll() throws -> [(id: QueueID, content: [UInt8])] {
        var result: [(QueueID, [UInt8])] = []
        for id in queue.takeDue(limit: 100_000) {
            let message = try queue.open(id)
            result.append((id, try message.content().all()))
            try queue.record(id, message.outstanding.map { outcome($0.number, .delivered) })
            try queue.finish(id)
        }
        return result
    }
}

/// The content of message number `number`: no two are alike.
func numbered(_ number: Int, size: Int) -> [UInt8] {
    let bytes = Array("message \(number)\r\n".utf8)
    return bytes + [UInt8](repeating: UInt8(33 + number % 90), count: max(0, size - bytes.count))
}

/// Puts a message into `offline/`.
func submit(
    _ spool: TemporarySpool, _ envelope: Envelope, _ content: [UInt8] = text(1000),
    syscalls: any Syscalls = FaultySyscalls(), protection: Protection? = nil
) throws {
    let drop = try OfflineDrop(
        spool.layout, envelope, protection: try protection ?? TestProtection.of(.submitter), syscalls: syscalls)
    try drop.append(content)
    try drop.commit()
}
