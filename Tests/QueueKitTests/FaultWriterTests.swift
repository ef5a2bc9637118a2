// Writers when calls fail: what was refused is not there, what was acknowledged is, and one bad spare stops nobody.

import Glibc
import MailModel
import SystemPackage
import Testing

@testable import QueueKit

@Suite struct FaultWriterTests {
    @Test func aLargeMessageThatWasRefusedHasNoName() throws {
        let spool = try TemporarySpool()
        let calls = FaultySyscalls()
        let intake = try listenerIntake(spool.layout, syscalls: calls)
        // The file's own sync is the first, its directory's the second.
        calls.set(.once(.fsync, calls.count(.fsync) + 2, .ioError))
        #expect(throws: QueueError.self) { _ = try intake.store(envelope(), text(300_000)) }
        #expect(try spool.names(.incoming).isEmpty)
        intake.close()
    }

    @Test func aSpareThatCannotBeUsedIsPassedOver() throws {
        let spool = try TemporarySpool()
        let calls = FaultySyscalls(
            .when { if case .open(_, let path, _, _) = $0, path.hasPrefix("spare.") { .permissionDenied } else { nil } }
        )
        let store = DirectorySegmentStore(
            try Directory(spool.layout.path(.queue), syscalls: calls), .queue, clock: SystemClock())
        try store.prepareSpare()
        try store.create(.runner, number: 0).close()
        #expect(try store.list().count == 1)
    }

    /// DESIGN §3: renamed, synced, the journal removed, and only then written over.
    @Test func aRetiredSegmentIsNotTakenBeforeItsJournalIsGone() throws {
        let spool = try TemporarySpool()
        let store = DirectorySegmentStore(try spool.directory(.incoming), .incoming, clock: SystemClock())
        try store.prepareSpare()
        let writer = try store.create(.listener, number: 0)
        let name = writer.name
        // As after a crash of its writer: not cut.
        _ = consume writer
        try store.retire(name) { () throws(QueueError) in
            #expect((try? spool.names(.incoming))?.count == 1)
            let other = try store.create(
                role: .listener, run: .random(16), number: 1, (try? TestProtection.of(.listener)) ?? .none)
            #expect((try? spool.names(.incoming))?.count == 2, "a new file, not the spare")
            try other.close()
        }
        _ = try store.create(.listener, number: 2)
        #expect(try spool.names(.incoming).filter { $0.hasPrefix("spare.") }.isEmpty, "now it was taken")
    }

    @Test func aCommittedOffsetThatCannotBeWrittenHidesNoMail() throws {
        let spool = try TemporarySpool()
        let calls = FaultySyscalls()
        let intake = try listenerIntake(spool.layout, syscalls: calls)
        calls.set(.when { if case .pwrite(_, _, 448) = $0 { .ioError } else { nil } })
        _ = try intake.store(envelope(), text(10))
        calls.heal()
        let runner = try TestRunner(spool)
        #expect(runner.collect(rounds: 500) { runner.queue.count == 1 })
        intake.close()
    }

    /// Several full segments from many sessions: nothing is lost over a roll-over, and segments come back as spares.
    @Test func loadRollsOverAndTakesSparesAgain() throws {
        let spool = try TemporarySpool()
        let (sent, placements) = try load(spool, producers: 8, each: 60, size: 100_000)
        let segments = Set(placements.map(\.segment))
        #expect(segments.count >= 3, "48 MB do not fit two segments")
        let runner = try TestRunner(spool)
        #expect(runner.queue.count == sent.count)
        let delivered = try runner.deliverAll()
        #expect(Set(delivered.map(\.id)) == Set(sent.keys) && delivered.count == sent.count)
        #expect(delivered.allSatisfy { sent[$0.id] == $0.content })
        #expect(runner.collect { (try? spool.names(.incoming).allSatisfy { $0.hasPrefix(Spares.prefix) }) ?? false })
        let spares = try spool.names(.incoming)
        #expect((1...Spares.limit).contains(spares.count))
        let inodes = try spares.map { try spool.directory(.incoming).status(of: $0)?.st_ino }
        let again = try load(spool, producers: 2, each: 5, size: 50_000)
        let taken = try spool.directory(.incoming).status(of: again.placements[0].segment.description)?.st_ino
        #expect(inodes.contains(taken), "written over, not made anew")
        #expect(runner.collect { runner.queue.count == 10 })
        #expect(Set(try runner.deliverAll().map(\.id)) == Set(again.sent.keys))
        runner.queue.close()
    }

    /// Nothing a compressor could make smaller: it repeats itself further apart than deflate looks back.
    private func noisy(_ number: Int, size: Int) -> [UInt8] {
        var content = numbered(number, size: 0)
        while content.count < size { content += Self.noise }
        return Array(content.prefix(size))
    }
    private static let noise = [UInt8].random(40_000)

    private func load(
        _ spool: TemporarySpool, producers: Int, each: Int, size: Int
    ) throws -> (sent: [QueueID: [UInt8]], placements: [Placement]) {
        let intake = try listenerIntake(spool.layout)
        let results = Monitor<[(QueueID, [UInt8], Placement)]>([])
        let done = Monitor(0)
        for producer in 0..<producers {
            _ = try Thread("producer") {
                for number in 0..<each {
                    let (envelope, content) = (envelope(), noisy(producer * 1000 + number, size: size))
                    guard let placement = try? intake.store(envelope, content) else { continue }
                    results.update { $0.append((envelope.id, content, placement)) }
                }
                done.update { $0 += 1 }
            }
        }
        #expect(done.wait(limit: 60_000) { $0 == producers ? true : nil } == true)
        intake.close()
        let all = results.access { $0 }
        #expect(all.count == producers * each)
        return (Dictionary(all.map { ($0.0, $0.1) }) { first, _ in first }, all.map(\.2))
    }
}
