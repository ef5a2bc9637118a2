// Messages that move into new segments: what they carry, what orders do meanwhile, and every point at which the world
// may stop.

import Glibc
import MailModel
import Testing

@testable import QueueKit

/// A segment of many messages of which few are left, waiting long.
struct Sparse {
    let spool: TemporarySpool
    let clock = FixedClock()
    var envelopes: [Envelope] = []
    var survivors: [QueueID] { envelopes.suffix(2).map(\.id) }

    init(count: Int = 17) throws {
        spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout)
        for number in 0..<count {
            let envelope = envelope(to: number == count - 1 ? ["a@b.example", "c@d.example"] : ["a@b.example"])
            _ = try intake.store(envelope, numbered(number, size: 500))
            envelopes.append(envelope)
        }
        intake.close()
    }

    func runner(_ calls: any Syscalls = FaultySyscalls()) throws -> TestRunner {
        try TestRunner(spool, calls, clock: clock)
    }

    /// Delivers all but two, which wait: one was delivered to one of its recipients, and one is held.
    func thinOut(_ runner: TestRunner) throws {
        for id in runner.queue.takeDue(limit: 100) {
            let message = try runner.queue.open(id)
            let isLast = id == envelopes.last?.id
            for recipient in message.outstanding {
                let status: DeliveryStatus =
                    survivors.contains(id) && !(isLast && recipient.number == 0) ? .deferred : .delivered
                try runner.queue.record(id, [runner.outcome(recipient.number, status)])
            }
            try runner.queue.finish(id)
        }
        _ = try runner.queue.hold(survivors[0], reason: "because")
        // Tried again often enough to wait for ten minutes.
        clock.advance(.seconds(70))
        for id in runner.queue.takeDue(limit: 9) { try runner.attempt(id, .deferred) }
        runner.settle()
    }

    func expectSurvivors(_ point: Comment) throws {
        let next = try runner()
        #expect(next.collect { !next.queue.isCollecting })
        #expect(Set(next.queue.ids) == Set(survivors), point)
        #expect(next.queue.rows[survivors[0]]?.isHeld == true, point)
        #expect(next.quarantined.isEmpty, "\(point) \(next.quarantined)")
        let seen = try QueueSnapshot(spool.layout, keys: TestProtection.keys)
        #expect(
            seen.messages.first { $0.id == survivors[1] }?.recipients.map(\.status) == [.delivered, .deferred],
            point)
        next.queue.close()
    }

    var isMoved: Bool { (try? spool.names(.incoming).allSatisfy { $0.hasPrefix("spare.") }) ?? false }
}

@Suite struct MovingTests {
    @Test func survivorsMoveWithAllThatIsKnownOfThem() throws {
        let sparse = try Sparse()
        let runner = try sparse.runner()
        try sparse.thinOut(runner)
        sparse.clock.advance(.seconds(11))
        #expect(runner.collect { sparse.isMoved && !runner.queue.isCollecting })
        #expect(runner.failures.isEmpty && runner.quarantined.isEmpty)
        for again in [false, true] {
            let seen = try QueueSnapshot(sparse.spool.layout, keys: TestProtection.keys)
            #expect(Set(seen.messages.map(\.id)) == Set(sparse.survivors))
            let held = try #require(seen.messages.first { $0.id == sparse.survivors[0] })
            let other = try #require(seen.messages.first { $0.id == sparse.survivors[1] })
            #expect(held.heldReason == "because" && held.lastAttempt != nil)
            #expect(other.recipients.map(\.status) == [.delivered, .deferred] && other.attemptCount == 2)
            if !again { runner.queue.close() }
        }
        let next = try sparse.runner()
        #expect(Set(next.queue.ids) == Set(sparse.survivors))
        _ = try next.queue.release(sparse.survivors[0])
        sparse.clock.advance(.seconds(1000))
        let delivered = try next.deliverAll()
        #expect(Set(delivered.map(\.id)) == Set(sparse.survivors))
        #expect(Set(delivered.map(\.content)) == [numbered(15, size: 500), numbered(16, size: 500)])
        next.queue.close()
        #expect(try sparse.runner().queue.count == 0)
    }

    @Test func aMessageMovesAgain() throws {
        let sparse = try Sparse()
        let runner = try sparse.runner()
        try sparse.thinOut(runner)
        for round in 1...3 {
            sparse.clock.advance(.seconds(11))
            #expect(runner.collect { sparse.isMoved && !runner.queue.isCollecting })
            // As if its segment were sparse again.
            for segment in runner.queue.segments.values { segment.known = 100 }
            runner.collect(rounds: 100) { runner.queue.rows.values.allSatisfy { $0.generation > round } }
        }
        runner.queue.close()
        let next = try sparse.runner()
        let seen = try QueueSnapshot(sparse.spool.layout, keys: TestProtection.keys)
        #expect(
            seen.messages.first { $0.id == sparse.survivors[1] }?.recipients.map(\.status) == [.delivered, .deferred])
        #expect(next.queue.ids.count == 2)
    }

    /// Whatever an operator orders while a message moves holds, before and after a crash.
    @Test(arguments: ["hold", "release", "flush", "remove"], [true, false])
    func ordersWhileAMessageMoves(order: String, crash: Bool) throws {
        let sparse = try Sparse()
        let gate = Monitor(false)
        let calls = FaultySyscalls()
        let runner = try sparse.runner(calls)
        try sparse.thinOut(runner)
        let id = order == "release" ? sparse.survivors[0] : sparse.survivors[1]
        sparse.clock.advance(.seconds(11))
        // The copying thread waits until the order was given.
        runner.queue.copying.run { _ = gate.wait(limit: 10_000) { $0 ? true : nil } }
        runner.queue.collect()
        #expect(runner.queue.moving[id] != nil)
        switch order {
        case "hold": #expect(try runner.queue.hold(id, reason: "now"))
        case "release": #expect(try runner.queue.release(id))
        case "flush": #expect(try runner.queue.flush(id))
        default: try runner.queue.remove(id)
        }
        gate.update { $0 = true }
        if crash {
            // The copies become durable, nobody takes notice of them.
            runner.queue.copying.stop()
            runner.queue.close()
        } else {
            #expect(runner.collect { !runner.queue.isCollecting })
            runner.queue.close()
        }
        let next = try sparse.runner()
        #expect(next.collect { !next.queue.isCollecting })
        let row = next.queue.rows[id]
        switch order {
        case "hold": #expect(row?.isHeld == true)
        case "release": #expect(row?.isHeld == false && row.map { $0.due <= sparse.clock.monotonic() } == true)
        case "flush": #expect(row.map { $0.due <= sparse.clock.monotonic() } == true)
        default: #expect(row == nil)
        }
        #expect(next.queue.count == (order == "remove" ? 1 : 2))
    }

    /// Stops the world before each call; what was delivered stays so, what was not is there, once.
    @Test(arguments: [false, true])
    func everyStoppingPoint(power: Bool) throws {
        var points = 0
        for point in 0..<400 {
            let sparse = try Sparse()
            let first = try sparse.runner()
            try sparse.thinOut(first)
            first.queue.close()
            let calls = FaultySyscalls(.stop(before: point + 1), powerCut: power)
            if let runner = try? sparse.runner(calls) {
                sparse.clock.advance(.seconds(11))
                runner.collect(rounds: 400, unless: { calls.hasStopped }) {
                    sparse.isMoved && !runner.queue.isCollecting
                }
                runner.queue.close()
            }
            points += 1
            let isOver = !calls.hasStopped
            calls.endWorld()
            try sparse.expectSurvivors("point \(point)")
            if isOver { break }
        }
        #expect(points > 20)
    }

    /// Only the runner raises generations.
    @Test func aListenersGenerationIsNotBelieved() throws {
        let spool = try TemporarySpool()
        let first = envelope()
        let intake = try listenerIntake(spool.layout)
        _ = try intake.store(first, text(100))
        let done = Monitor<Bool?>(nil)
        let forged = intake.begin(
            StoredEnvelope(first, generation: 9, carried: [.removed(message: 0)]))
        forged.commitPlaced { _ in done.update { $0 = true } }
        _ = done.wait(limit: 5000) { $0 }
        intake.close()
        let runner = try TestRunner(spool)
        #expect(runner.queue.ids == [first.id])
        #expect(runner.quarantined.count == 1)
        #expect(try runner.deliverAll().map(\.content) == [text(100)])
    }
}
