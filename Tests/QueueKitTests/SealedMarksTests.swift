// Marks that somebody else wrote, where marks are read besides at a start of the runner: by who looks at the queue, by
// `check`, and when a message moves while the runner runs.

import MailModel
import Testing

@testable import QueueKit

/// A message in a sealed segment, tried once, its marks in a sealed journal.
private struct MarkedMessage {
    let spool: TemporarySpool
    let fixture: SealFixture
    let clock = FixedClock()
    let segment: SegmentName
    let message: StoredMessage

    init() throws {
        (spool, fixture) = (try TemporarySpool(), try SealFixture())
        let intake = try Intake(
            spool.layout, place: .incoming, protection: Protection(sealer: try fixture.sealer(.listener)),
            syscalls: FaultySyscalls())
        let placement = try intake.store(envelope(), text(1000))
        intake.close()
        (segment, message) = (placement.segment, placement.message)
        let runner = try runner(Protection(sealer: try fixture.sealer(.runner)))
        for id in runner.queue.takeDue(limit: 1) { try runner.attempt(id, .deferred) }
        runner.settle()
        runner.queue.close()
    }

    func runner(_ protection: Protection) throws -> TestRunner {
        try TestRunner(spool, clock: clock, protection: protection, keys: fixture.ring)
    }

    var journal: String { segment.journal }

    /// Puts a journal in place of the segment's that says of its message: removed.
    func forge(_ seal: JournalSeal? = nil) throws {
        let directory = try spool.directory(.queue)
        let file = try spool.directory(.incoming).open("\(segment)", flags: 0)
        let stamp = try SegmentReader.header(of: file).0.stamp
        let frames = try JournalWriter.read(journal, in: directory, keys: fixture.ring)??.frames ?? 0
        try directory.unlink(journal)
        let writer = try JournalWriter(
            creating: journal, in: directory, segmentStamp: stamp, seal, clock: clock)
        // As many as there were: a shorter journal is refused for that.
        while writer.frames < frames { try writer.append([.removed(message: message.offset)]) }
    }

    func strangersSeal() throws -> JournalSeal {
        let stranger = try KeyRing(try .random())
        return try JournalSeal(stranger.publicKey.id, stranger)
    }
}

@Suite struct SealedMarksTests {
    @Test func theRightMarksAreRead() throws {
        let marked = try MarkedMessage()
        let seen = try QueueSnapshot(marked.spool.layout, keys: marked.fixture.ring)
        #expect(seen.messages.map(\.state) == [.deferred])
    }

    @Test(arguments: [false, true])
    func whoLooksBelievesNoForgedMarks(sealed: Bool) throws {
        let marked = try MarkedMessage()
        try marked.forge(sealed ? try marked.strangersSeal() : nil)
        let seen = try QueueSnapshot(marked.spool.layout, keys: marked.fixture.ring)
        #expect(seen.messages.map(\.id) == [marked.message.id], "it is in the queue, whatever they say")
        #expect(seen.messages.map(\.state) == [.queued], "without marks")
        var check = try SpoolCheck(marked.spool.layout, keys: marked.fixture.ring)
        let report = try check.run()
        #expect(report.counts.messages == 1)
        #expect(report.findings.contains { $0.level == .fault && $0.kind == .journal })
    }

    /// A copy carries what the journal says: forged marks would be sealed by the runner itself.
    @Test(arguments: [false, true])
    func aMovedMessageCarriesNoForgedMarks(sealed: Bool) throws {
        let marked = try MarkedMessage()
        let runner = try marked.runner(.none)
        try marked.forge(sealed ? try marked.strangersSeal() : nil)
        for _ in 0..<20 { runner.queue.collect() }
        #expect(runner.queue.ids == [marked.message.id])
        #expect(!runner.failures.isEmpty)
        marked.clock.advance(.seconds(1000))
        #expect(try runner.deliverAll().map(\.id) == [marked.message.id], "it is mail as before")
    }
}
