// Walks through everything that happens to mail, stopping before each system call that changes something; whatever was
// acknowledged must then be found by a new runner, once, and nothing half-done may be left.

import Glibc
import MailModel
import SystemPackage
import Testing

@testable import QueueKit

/// What a life of the spool promised and what it did.
final class LifeLedger {
    var contents: [QueueID: [UInt8]] = [:]
    /// Acknowledged to whoever brought it.
    var accepted: Set<QueueID> = []
    /// Delivered; `settled` are those whose marks are known to be durable.
    var delivered: Set<QueueID> = []
    var settled: Set<QueueID> = []

    func new(_ number: Int, size: Int) -> Envelope {
        let envelope = envelope(to: number % 2 == 0 ? ["a@b.example"] : ["a@b.example", "c@d.example"])
        contents[envelope.id] = numbered(number, size: size)
        return envelope
    }
}

/// One life: mail comes by both ways, is picked up, delivered, deferred, retired, and a second runner takes over.
struct Life {
    let spool: TemporarySpool
    let calls: FaultySyscalls
    let ledger = LifeLedger()
    let clock = FixedClock()

    func run() throws {
        let intake = try? listenerIntake(spool.layout, syscalls: calls)
        if let intake { [100, 5000, 300_000].enumerated().forEach { accept(intake, $0.offset, size: $0.element) } }
        for (number, size) in [(3, 200), (4, 100_000)] { drop(number, size: size) }
        firstRunner(intake)
        intake?.close()
        drop(5, size: 10)
        secondRunner()
    }

    private func accept(_ intake: Intake, _ number: Int, size: Int) {
        let envelope = ledger.new(number, size: size)
        guard let content = ledger.contents[envelope.id] else { return }
        if (try? intake.store(envelope, content)) != nil { ledger.accepted.insert(envelope.id) }
    }

    private func drop(_ number: Int, size: Int) {
        let envelope = ledger.new(number, size: size)
        guard let content = ledger.contents[envelope.id] else { return }
        if (try? submit(spool, envelope, content, syscalls: calls)) != nil { ledger.accepted.insert(envelope.id) }
    }

    private func firstRunner(_ intake: Intake?) {
        guard let runner = try? TestRunner(spool, calls, clock: clock) else { return }
        runner.collect(unless: { calls.hasStopped }) { runner.queue.count >= ledger.accepted.count }
        attemptAll(runner) { ledger.contents[$0]?.count ?? 0 < 1000 || ledger.contents[$0]?.count == 300_000 }
        intake?.close()
        runner.queue.collect()
        runner.queue.close()
    }

    private func secondRunner() {
        clock.advance(.seconds(100))
        guard let runner = try? TestRunner(spool, calls, clock: clock) else { return }
        let left = ledger.accepted.subtracting(ledger.delivered).count
        runner.collect(unless: { calls.hasStopped }) { runner.queue.count >= left }
        attemptAll(runner) { ledger.contents[$0]?.count == 5000 }
        runner.queue.close()
    }

    private func attemptAll(_ runner: TestRunner, delivering: (QueueID) -> Bool) {
        var recorded: Set<QueueID> = []
        for id in runner.queue.takeDue(limit: 100) {
            guard let message = try? runner.queue.open(id) else { continue }
            let status: DeliveryStatus = delivering(id) ? .delivered : .deferred
            if status == .delivered { ledger.delivered.insert(id) }
            let outcomes = message.outstanding.map { runner.outcome($0.number, status) }
            if (try? runner.queue.record(id, outcomes)) != nil && status == .delivered { recorded.insert(id) }
            _ = try? runner.queue.finish(id)
        }
        if runner.settle() { ledger.settled.formUnion(recorded) }
    }

    /// A new runner over what is left finds all that was promised, once, and nothing that is none of it.
    func verify(_ point: Comment) throws {
        let calls = FaultySyscalls()
        clock.advance(.seconds(7200))
        var found: [QueueID: Int] = [:]
        do {
            let runner = try TestRunner(spool, calls, clock: clock)
            let wanted = ledger.accepted.subtracting(ledger.delivered)
            // More may be there: what was stored, but not acknowledged.
            for round in 0..<100 where round < 2 || !wanted.isSubset(of: found.keys) || runner.queue.count > 0 {
                runner.collect(rounds: round < 2 ? 500 : 1) {
                    (try? spool.names(.offline)) == [] && !runner.queue.isCollecting
                }
                for (id, content) in try runner.deliverAll() {
                    found[id, default: 0] += 1
                    #expect(content == ledger.contents[id], point)
                }
            }
            #expect(try spool.names(.offline) == [], point)
            #expect(runner.failures.isEmpty && runner.quarantined.isEmpty, "\(point) \(runner.reports.access { $0 })")
            runner.queue.close()
        }
        let missing = ledger.accepted.subtracting(found.keys).subtracting(ledger.delivered)
        #expect(missing.isEmpty, "acknowledged and lost: \(point)")
        #expect(ledger.settled.isDisjoint(with: found.keys), "delivered again: \(point)")
        #expect(found.values.allSatisfy { $0 == 1 }, point)
        let again = try TestRunner(spool, calls, clock: clock)
        again.collect(rounds: 500) { (try? leftovers()) == [] }
        #expect(again.queue.count == 0 && again.quarantined.isEmpty, point)
        #expect(try leftovers() == [], point)
        again.queue.close()
    }

    /// Everything in the spool's folders but spares.
    private func leftovers() throws -> [String] {
        try [SpoolLayout.Place.offline, .incoming, .queue, .quarantine].flatMap { place in
            try spool.names(place).filter { !$0.hasPrefix(Spares.prefix) }.map { "\(place.rawValue)/\($0)" }
        }
    }
}

@Suite struct FaultTests {
    /// The number of stopping points differs from run to run, as threads do; this is above all of them.
    @Test(arguments: [false, true])
    func everyStoppingPoint(powerCut: Bool) throws {
        var point = 0
        while point < 2000 {
            point += 1
            let life = Life(
                spool: try TemporarySpool(), calls: FaultySyscalls(.stop(before: point), powerCut: powerCut))
            try life.run()
            let finished = !life.calls.hasStopped
            life.calls.endWorld()
            try life.verify("stopped before change \(point), power cut: \(powerCut)")
            if finished { break }
        }
        #expect(point > 60, "the walk is as long as it should be")
    }

    /// One failing call anywhere: nothing is lost, and the next life goes on.
    @Test(arguments: [
        (CallKind.open, Errno.tooManyOpenFiles), (.pread, .ioError), (.pwrite, .noSpace), (.fdatasync, .ioError),
        (.fsync, .ioError), (.ftruncate, .ioError), (.fallocate, .noSpace), (.fstat, .ioError), (.fstatat, .ioError),
        (.fchmod, .notPermitted), (.flock, .noLocks), (.linkUnnamed, .noSpace), (.rename, .ioError),
        (.unlink, .ioError), (.list, .ioError),
    ])
    func everyFailingCall(kind: CallKind, error: Errno) throws {
        // Of the most frequent calls every third: a run takes seconds, not a minute.
        let frequent: Set<CallKind> = [.open, .pread, .pwrite, .fstat, .list, .flock]
        for number in stride(from: 1, to: 2000, by: frequent.contains(kind) ? 3 : 1) {
            let life = Life(spool: try TemporarySpool(), calls: FaultySyscalls(.once(kind, number, error)))
            try life.run()
            let finished = !life.calls.hasFailed
            life.calls.endWorld()
            try life.verify("call \(number) of \(kind) failed")
            if finished { break }
        }
    }
}
