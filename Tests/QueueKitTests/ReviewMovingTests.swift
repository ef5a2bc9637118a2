// Messages that move, when the worst happens at the worst moment: they end, their marks can't be written, orders fail.

import Glibc
import MailModel
import SystemPackage
import Testing

@testable import QueueKit

/// Two messages left of seventeen, both waiting for ten minutes, on their way into another segment: their copies are
/// written when `go` is called.
private final class OnTheirWay {
    let spool: TemporarySpool
    let calls = FaultySyscalls()
    let runner: TestRunner
    let ids: [QueueID]
    private let gate = Monitor(false)

    init() throws {
        spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout)
        let envelopes = (0..<17).map { _ in envelope() }
        for envelope in envelopes { _ = try intake.store(envelope, text(500)) }
        intake.close()
        runner = try TestRunner(spool, calls)
        ids = envelopes.suffix(2).map(\.id)
        for id in runner.queue.takeDue(limit: 100) { try runner.attempt(id, ids.contains(id) ? .deferred : .delivered) }
        runner.clock.advance(.seconds(70))
        for id in runner.queue.takeDue(limit: 9) { try runner.attempt(id, .deferred) }
        runner.settle()
        runner.clock.advance(.seconds(11))
        runner.queue.copying.run { [gate] in _ = gate.wait(limit: 10_000) { $0 ? true : nil } }
        runner.queue.collect()
    }

    deinit { go() }

    var areMoving: Bool { ids.allSatisfy { runner.queue.moving[$0] != nil } }
    func go() { gate.update { $0 = true } }

    /// No frame can be written to any journal.
    func stopJournals() {
        let magic: [UInt8] = Array("PFrm".utf8)
        calls.set(
            .when { operation in
                guard case .pwrite(_, let bytes, _) = operation else { return nil }
                return bytes.starts(with: magic) ? .noSpace : nil
            })
    }
}

/// Fails nothing, and counts how often a journal is opened to be read.
private func countingJournals(_ reads: Monitor<Int>) -> Fault {
    .when { operation in
        if case .open(_, let path, let flags, _) = operation, path.hasSuffix(".journal"), flags & O_ACCMODE == O_RDONLY
        {
            reads.access { $0 += 1 }
        }
        return nil
    }
}

@Suite struct ReviewMovingTests {
    /// The copy that came too late must not bring back what ended meanwhile.
    @Test(arguments: ["flush", "hold and release", "hold and remove"])
    func whatEndsWhileItsCopyIsOnItsWayStaysEnded(orders: String) throws {
        let fixture = try OnTheirWay()
        let (queue, id) = (fixture.runner.queue, fixture.ids[0])
        #expect(fixture.areMoving)
        if orders == "flush" { #expect(try queue.flush(id)) } else { #expect(try queue.hold(id, reason: "now")) }
        if orders == "hold and release" { #expect(try queue.release(id)) }
        if orders == "hold and remove" { try queue.remove(id) }
        var delivered = try fixture.runner.deliverAll().map(\.id)
        fixture.go()
        for _ in 0..<20 {
            #expect(fixture.runner.collect { !queue.isCollecting })
            delivered += try fixture.runner.deliverAll().map(\.id)
        }
        #expect(delivered == (orders == "hold and remove" ? [] : [id]))
        #expect(queue.ids == [fixture.ids[1]])
        queue.close()
        #expect(try TestRunner(fixture.spool, clock: fixture.runner.clock).queue.ids == [fixture.ids[1]])
    }

    @Test func anOrderThatCouldNotBeWrittenChangesNothing() throws {
        let fixture = try OnTheirWay()
        fixture.stopJournals()
        for id in fixture.ids {
            #expect(throws: QueueError.self) { try fixture.runner.queue.hold(id, reason: "now") }
        }
        fixture.calls.heal()
        #expect(fixture.areMoving, "their copies count")
        fixture.go()
        #expect(fixture.runner.collect { !fixture.runner.queue.isCollecting })
        #expect(fixture.runner.queue.rows.values.allSatisfy { $0.generation == 1 && !$0.isHeld })
    }

    /// With the old segment gone nobody needs the mark that could not be written.
    @Test func aMarkThatCouldNotBeWrittenStrandsNoMessage() throws {
        let fixture = try OnTheirWay()
        let (runner, queue) = (fixture.runner, fixture.runner.queue)
        fixture.stopJournals()
        fixture.go()
        #expect(runner.collect { queue.rows.values.allSatisfy { $0.generation == 1 } && queue.retiring.isEmpty })
        #expect(runner.collect(rounds: 100) { !queue.isCollecting }, "mail-relay --once comes to its end")
        fixture.calls.heal()
        runner.clock.advance(.seconds(1000))
        #expect(runner.collect(rounds: 100) { queue.moving.isEmpty })
        #expect(Set(try runner.deliverAll().map(\.id)) == Set(fixture.ids))
    }

    /// Each journal is read as a whole: not for each message that moves.
    @Test func journalsAreNotReadForEachMove() throws {
        let spool = try TemporarySpool()
        for _ in 0..<3 {
            let intake = try Intake(spool.layout, place: .incoming, syscalls: FaultySyscalls())
            for _ in 0..<60 { _ = try intake.store(envelope(), text(20)) }
            intake.close()
        }
        let keys = try SealFixture()
        let reads = Monitor(0)
        let calls = FaultySyscalls(countingJournals(reads))
        let protection = Protection(sealer: try keys.sealer(.runner))
        let runner = try TestRunner(spool, calls, protection: protection, keys: keys.ring)
        let ids = runner.queue.takeDue(limit: 1000)
        // What is tried does not move.
        runner.queue.collect()
        for id in ids { try runner.attempt(id, .deferred) }
        runner.settle()
        reads.access { $0 = 0 }
        runner.clock.advance(.seconds(11))
        #expect(
            runner.collect {
                runner.queue.rows.values.allSatisfy { $0.generation == 1 } && !runner.queue.isCollecting
            })
        #expect(runner.queue.count == 180)
        #expect(reads.access { $0 } <= 12)
    }

    /// What the copy would not know would be done again.
    @Test(arguments: [true, false])
    func aJournalThatCannotBeReadBackKeepsItsMessages(damaged: Bool) throws {
        let spool = try TemporarySpool()
        let intake = try Intake(spool.layout, place: .incoming, syscalls: FaultySyscalls())
        for _ in 0..<40 { _ = try intake.store(envelope(to: ["a@b.example", "c@d.example"]), text(20)) }
        intake.close()
        let keys = try SealFixture()
        let reads = Monitor(0)
        let calls = FaultySyscalls(countingJournals(reads))
        let protection = Protection(sealer: try keys.sealer(.runner))
        let runner = try TestRunner(spool, calls, protection: protection, keys: keys.ring)
        let ids = runner.queue.takeDue(limit: 100)
        runner.queue.collect()
        for id in ids {
            _ = try runner.queue.open(id)
            try runner.queue.record(id, [runner.outcome(0, .delivered), runner.outcome(1, .deferred)])
            try runner.queue.finish(id)
        }
        runner.settle()
        reads.access { $0 = 0 }
        if damaged {
            let name = try #require(try spool.names(.queue).first { $0.hasSuffix(".journal") })
            let file = try spool.directory(.queue).open(name, flags: O_RDWR)
            try file.flip(at: 6000)
        }
        runner.clock.advance(.seconds(11))
        #expect(
            runner.collect(rounds: 300) {
                runner.queue.rows.values.allSatisfy { $0.generation == 1 } && !runner.queue.isCollecting
            } == !damaged)
        guard damaged else { return }
        #expect(runner.queue.rows.values.allSatisfy { $0.generation == 0 } && runner.queue.count == 40)
        #expect(reads.access { $0 } == 1 && runner.failures.count == 1, "told once")
        runner.clock.advance(.seconds(1000))
        for id in runner.queue.takeDue(limit: 100) {
            #expect(try runner.queue.open(id).outstanding.map(\.number) == [1])
        }
    }
}
