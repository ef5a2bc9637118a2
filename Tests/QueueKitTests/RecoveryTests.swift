// What a start, and a runner at work, make of files that a crash, a full disk or a hostile hand left behind.

import Glibc
import MailModel
import SystemPackage
import Testing

@testable import QueueKit

/// Stores messages as a listener does, then closes the segment.
private func listen(_ spool: TemporarySpool, _ envelopes: [Envelope], size: Int = 1000) throws -> [Placement] {
    let intake = try listenerIntake(spool.layout)
    defer { intake.close() }
    return try envelopes.map { try intake.store($0, text(size)) }
}

@Suite struct RecoverySegmentTests {
    @Test func oneUnreadableSegmentStopsNothing() throws {
        let spool = try TemporarySpool()
        let (bad, good) = (envelope(), envelope())
        let segment = try listen(spool, [bad])[0].segment.description
        _ = try listen(spool, [good])
        let calls = FaultySyscalls(
            .when { if case .open(_, segment, _, _) = $0 { .ioError } else { nil } })
        let runner = try TestRunner(spool, calls)
        #expect(runner.queue.ids == [good.id])
        #expect(runner.failures.count == 1)
        for _ in 0..<10 { runner.queue.collect() }
        #expect(runner.failures.count == 1, "not tried again before a pause")
        calls.heal()
        #expect(runner.collect { runner.queue.count == 2 })
    }

    /// Named as a segment, and none: nothing waits, nothing else is held up.
    @Test(arguments: ["fifo", "directory", "symlink", "empty", "sparse", "garbage"])
    func strangeFiles(kind: String) throws {
        let spool = try TemporarySpool()
        let path = "\(spool.layout.path(.incoming))/\(SegmentName(.make(SystemClock())))"
        switch kind {
        case "fifo": mkfifo(path, 0o600)
        case "directory": mkdir(path, 0o700)
        case "symlink": symlink("/etc/passwd", path)
        default:
            let file = creat(path, 0o640)
            let header = SegmentHeader(
                flags: [], role: .listener, created: Timestamp(milliseconds: 1), run: .random(16), number: 0)
            if kind == "sparse" { _ = header.blocks.withUnsafeBytes { write(file, $0.baseAddress, $0.count) } }
            if kind == "sparse" { ftruncate(file, 1 << 42) }
            if kind == "garbage" { write(file, "hello", 5) }
            close(file)
        }
        let good = envelope()
        _ = try listen(spool, [good])
        let runner = try TestRunner(spool)
        #expect(runner.queue.ids == [good.id])
        #expect(runner.failures.isEmpty)
        #expect(try spool.names(.quarantine).count == (kind == "empty" ? 0 : 2))
    }

    @Test func aNewerSegmentAndItsJournalAreLeftAlone() throws {
        let spool = try TemporarySpool()
        let name = SegmentName(.make(SystemClock()))
        var header = SegmentHeader(
            flags: [], role: .listener, created: Timestamp(milliseconds: 1), run: .random(16), number: 0)
        header.version = SegmentHeader.currentVersion + 1
        let file = try spool.directory(.incoming).open(name.description, flags: O_RDWR | O_CREAT, mode: 0o640)
        try file.write(header.blocks + text(5000), at: 0)
        close(creat("\(spool.layout.path(.queue))/\(name.journal)", 0o640))
        let runner = try TestRunner(spool)
        #expect(runner.failures.map(\.kind) == [.newerFormat])
        runner.queue.close()
        #expect(try spool.names(.incoming) == [name.description])
        #expect(try spool.names(.queue) == [name.journal])
        #expect(try spool.names(.quarantine).isEmpty)
    }

    @Test func aBrokenSegmentTakesItsJournalAlong() throws {
        let spool = try TemporarySpool()
        let envelopes = [envelope(), envelope()]
        let segment = try listen(spool, envelopes)[0].segment
        do {
            let runner = try TestRunner(spool)
            try runner.attempt(try #require(runner.queue.takeDue(limit: 1).first), .delivered)
            runner.queue.close()
        }
        let file = try spool.directory(.incoming).open(segment.description, flags: O_RDWR)
        try file.write([UInt8](repeating: 0, count: 1024), at: 0)
        let runner = try TestRunner(spool)
        #expect(runner.queue.count == 0 && runner.quarantined.count == 2)
        #expect(try spool.names(.quarantine).filter { $0.hasSuffix(".journal") }.count == 1)
    }

    /// Damage is only done with once its copy is in quarantine, whatever fails meanwhile.
    @Test func damageIsKeptUntilItIsInQuarantine() throws {
        let spool = try TemporarySpool()
        let placements = try listen(spool, [envelope(), envelope(), envelope()])
        let file = try spool.directory(.incoming).open(placements[0].segment.description, flags: O_RDWR)
        try file.flip(at: placements[1].message.contentOffset + 82)
        let calls = FaultySyscalls(
            .when { if case .open(_, let path, _, _) = $0, path.hasSuffix(".reason") { .noSpace } else { nil } })
        let runner = try TestRunner(spool, calls)
        #expect(runner.queue.count == 2, "its neighbours are mail")
        #expect(try runner.deliverAll().count == 2)
        runner.queue.collect()
        #expect(try spool.names(.incoming).count == 1, "not freed")
        calls.heal()
        #expect(runner.collect { (try? spool.names(.incoming)) == [] })
        #expect(try spool.names(.quarantine).count == 2)
        #expect(runner.quarantined == ["Message \(placements[1].message.id) is damaged where it is stored."])
    }

    /// The runner opened the file long before its last messages came: what they promised is read when the writer ends.
    @Test func damageOfTheLastMessagesOfALivingWriterIsKnown() throws {
        let spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout)
        _ = try intake.store(envelope(), text(100))
        let clock = FixedClock()
        let runner = try TestRunner(spool, clock: clock)
        #expect(runner.queue.count == 1)
        let last = try intake.store(envelope(), text(5000))
        let file = try spool.directory(.incoming).open(last.segment.description, flags: O_RDWR)
        try file.flip(at: last.message.contentOffset + 82)
        intake.close()
        runner.collect { !runner.quarantined.isEmpty }
        #expect(runner.queue.count == 1)
        #expect(runner.quarantined == ["Message \(last.message.id) is damaged where it is stored."])
    }

    @Test func aFileThatEndsTooEarlyIsReported() throws {
        let spool = try TemporarySpool()
        let placements = try listen(spool, [envelope(), envelope()])
        let file = try spool.directory(.incoming).open(placements[0].segment.description, flags: O_RDWR)
        try file.truncate(to: placements[1].message.offset)
        let runner = try TestRunner(spool)
        #expect(runner.queue.ids == [placements[0].message.id])
        #expect(runner.quarantined.count == 1 && runner.quarantined[0].contains("ends before"))
    }

    @Test func aCommittedOffsetBeyondTheFileIsNoReasonToSearchForever() throws {
        let spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout)
        let placement = try intake.store(envelope(), text(100))
        let file = try spool.directory(.incoming).open(placement.segment.description, flags: O_RDWR)
        try file.write(SegmentHeader.hint(1 << 62), at: 448)
        let runner = try TestRunner(spool)
        #expect(runner.queue.count == 1)
        intake.close()
    }

    /// Every block claims to begin a record of the largest size: each byte could be summed up thousands of times.
    @Test(.timeLimit(.minutes(1)))
    func overlappingRecordsCostNoMoreThanTheFile() throws {
        let spool = try TemporarySpool()
        let header = SegmentHeader(
            flags: [], role: .listener, created: Timestamp(milliseconds: 1), run: .random(16), number: 0)
        let file = try spool.directory(.incoming).open("evil", flags: O_RDWR | O_CREAT, mode: 0o640)
        try file.write(header.blocks, at: 0)
        let size: Int64 = 24 << 20
        var block = [UInt8](repeating: 0, count: 512)
        for offset in stride(from: Int64(1024), to: size, by: 512) {
            var record: [UInt8] = []
            let claim = RecordHeader(
                kind: .envelope, order: 0, payloadLength: RecordHeader.payloadLimit, stamp: header.stamp,
                messageOffset: offset)
            [UInt8]().withUnsafeBytes { claim.append(payload: $0, segmentID: header.id, to: &record) }
            block.replaceSubrange(0..<record.count, with: record)
            try file.write(block, at: offset)
        }
        let start = SystemClock().monotonic()
        let scan = try SegmentReader(file).scan(from: 1024, limit: size, verifyingContent: true)
        #expect(scan.messages.isEmpty)
        #expect(SystemClock().monotonic() - start < 10_000)
    }

    @Test func aSegmentThatIsTakenAwayAndPutBack() throws {
        let spool = try TemporarySpool()
        let envelopes = [envelope(), envelope()]
        let segment = try listen(spool, envelopes)[0].segment.description
        let runner = try TestRunner(spool)
        let path = "\(spool.layout.path(.incoming))/\(segment)"
        let ids = runner.queue.takeDue(limit: 2)
        try runner.attempt(ids[0], .delivered)
        rename(path, "\(spool.layout.root)/away")
        let error = #expect(throws: QueueError.self) { _ = try runner.queue.open(ids[1]) }
        #expect(error?.kind == .missing)
        #expect(runner.queue.count == 0)
        rename("\(spool.layout.root)/away", path)
        #expect(runner.collect { runner.queue.ids == [ids[1]] }, "what was delivered stays delivered")
    }

    @Test func contentFoundDamagedOnTheWayOut() throws {
        let spool = try TemporarySpool()
        let placements = try listen(spool, [envelope(), envelope()])
        let runner = try TestRunner(spool)
        let file = try spool.directory(.incoming).open(placements[0].segment.description, flags: O_RDWR)
        try file.flip(at: placements[0].message.contentOffset + 82)
        _ = runner.queue.takeDue(limit: 2)
        let message = try runner.queue.open(placements[0].message.id)
        #expect(throws: QueueError.self) { _ = try message.content().all() }
        runner.queue.setAside(placements[0].message.id)
        #expect(runner.queue.ids == [placements[1].message.id])
        #expect(try spool.names(.quarantine).count == 2)
    }

    @Test func leftoversOfWritersWithoutUnnamedFiles() throws {
        let spool = try TemporarySpool()
        for place in [SpoolLayout.Place.incoming, .queue, .quarantine] {
            close(creat("\(spool.layout.path(place))/tmp.x", 0o640))
        }
        close(creat("\(spool.layout.path(.queue))/x.journal.new", 0o640))
        let held = try spool.directory(.incoming).open("tmp.held", flags: O_RDWR | O_CREAT, mode: 0o640)
        #expect(try held.tryLock())
        try TestRunner(spool).queue.close()
        #expect(try spool.names(.incoming) == ["tmp.held"], "its writer lives")
        #expect(try spool.names(.queue) + spool.names(.quarantine) == [])
    }
}

@Suite struct RecoveryJournalTests {
    /// A journal whose marks can't be synced, or not even written, is written anew before anything else happens.
    @Test(arguments: [CallKind.fdatasync, .pwrite])
    func aFailedMarkIsNeverForgotten(kind: CallKind) throws {
        let spool = try TemporarySpool()
        let envelopes = [envelope(), envelope(), envelope()]
        _ = try listen(spool, envelopes)
        let calls = FaultySyscalls()
        let runner = try TestRunner(spool, calls)
        #expect(runner.settle())
        let ids = runner.queue.takeDue(limit: 3)
        _ = try ids.map { try runner.queue.open($0) }
        calls.set(.when { $0.kind == kind || kind == .fdatasync && $0.kind == .fsync ? .ioError : nil })
        _ = try? runner.queue.record(ids[0], [runner.outcome(0, .delivered)])
        _ = try? runner.queue.finish(ids[0])
        if kind == .fdatasync {
            #expect(!runner.settle())
            #expect(!runner.settle(), "still not durable, though nothing new was written")
        }
        calls.heal()
        #expect(runner.collect(rounds: 2000) { runner.settle() })
        try runner.queue.record(ids[1], [runner.outcome(0, .delivered)])
        try runner.queue.finish(ids[1])
        runner.queue.close()
        #expect(try TestRunner(spool).queue.ids == [ids[2]])
    }

    @Test func aJournalIsMendedEvenAtTheEnd() throws {
        let spool = try TemporarySpool()
        _ = try listen(spool, [envelope(), envelope()])
        let calls = FaultySyscalls()
        let runner = try TestRunner(spool, calls)
        let ids = runner.queue.takeDue(limit: 2)
        _ = try ids.map { try runner.queue.open($0) }
        calls.set(.when { $0.kind == .pwrite ? .noSpace : nil })
        #expect(throws: QueueError.self) { try runner.queue.record(ids[0], [runner.outcome(0, .delivered)]) }
        calls.heal()
        runner.queue.close()
        #expect(try TestRunner(spool).queue.ids == [ids[1]])
    }

    /// More than one frame may hold: readers refuse such a frame, and all that follows it.
    @Test func aLargeStateTakesManyFrames() throws {
        let spool = try TemporarySpool()
        let directory = try spool.directory(.queue)
        let reason = String(repeating: "x", count: 1 << 20)
        let entries = (0..<20).map { JournalEntry.held(message: $0, reason: reason) }
        let seal = try TestProtection.keys.map { try JournalSeal($0.publicKey.id, $0) }
        let writer = try JournalWriter.replacing(
            "a.journal", with: entries, in: directory, segmentStamp: 1, seal, clock: SystemClock())
        let huge = JournalEntry.held(message: 1, reason: String(repeating: "x", count: 17 << 20))
        let error = #expect(throws: QueueError.self) { try writer.append([huge]) }
        #expect(error?.kind == .refused)
        try writer.append([.released(message: 3)])
        let read = try #require(try JournalWriter.read("a.journal", in: directory) ?? nil)
        #expect(read.entries == entries + [.released(message: 3)])
        #expect(!read.isInterrupted)
    }

    @Test func aFailureWhileReplacingLosesNothing() throws {
        let spool = try TemporarySpool()
        let envelopes = (0..<4).map { _ in envelope() }
        _ = try listen(spool, envelopes)
        let calls = FaultySyscalls()
        let runner = try TestRunner(spool, calls)
        let ids = runner.queue.takeDue(limit: 4)
        _ = try ids.map { try runner.queue.open($0) }
        for (number, kind) in [CallKind.pwrite, .fsync, .pwrite].enumerated() {
            calls.set(.when { $0.kind == kind ? .ioError : nil })
            _ = try? runner.queue.record(ids[number], [runner.outcome(0, .delivered)])
            _ = try? runner.queue.finish(ids[number])
            runner.settle()
            calls.heal()
        }
        #expect(runner.collect(rounds: 2000) { runner.settle() })
        runner.queue.close()
        #expect(try TestRunner(spool).queue.ids == [ids[3]])
    }

    @Test(arguments: [0, 512, 4096])
    func aJournalThatNeverGotItsHeaderSaysNothing(size: Int) throws {
        let spool = try TemporarySpool()
        let placements = try listen(spool, [envelope()])
        let file = try spool.directory(.queue).open(
            placements[0].segment.journal, flags: O_RDWR | O_CREAT, mode: 0o640)
        try file.truncate(to: Int64(size))
        let runner = try TestRunner(spool)
        #expect(runner.queue.count == 1)
        #expect(runner.quarantined.isEmpty && runner.failures.isEmpty)
    }

    @Test func aJournalDamagedInItsMiddleIsKept() throws {
        let spool = try TemporarySpool()
        let placements = try listen(spool, [envelope(), envelope()])
        do {
            let runner = try TestRunner(spool)
            try runner.attempt(runner.queue.takeDue(limit: 1)[0], .delivered)
            runner.queue.close()
        }
        let name = placements[0].segment.journal
        let directory = try spool.directory(.queue)
        let contents = try #require(try JournalWriter.read(name, in: directory) ?? nil)
        #expect(contents.frames >= 2 && !contents.isInterrupted)
        // Behind the header and the first frame's.
        try directory.open(name, flags: O_RDWR).write([255], at: 512 + 56 + 2)
        let runner = try TestRunner(spool)
        #expect(runner.queue.count == 2, "delivered again, which is told")
        #expect(runner.quarantined.count == 1 && runner.quarantined[0].contains("middle"))
        #expect(try spool.names(.quarantine).count == 2)
    }

    @Test func roomIsGivenBackWithEachAttempt() throws {
        let spool = try TemporarySpool()
        let placements = try listen(spool, [envelope(to: ["a@b.example", "c@d.example"])])
        let clock = FixedClock()
        let runner = try TestRunner(spool, clock: clock)
        for _ in 0..<30 {
            let id = try #require(runner.queue.takeDue(limit: 1).first)
            // Nobody was tried, one recipient became three.
            _ = try runner.queue.open(id)
            if runner.queue.segments.values.first?.states.values.first?.expansions.isEmpty ?? true {
                let new = ["x@y.example", "y@y.example", "z@y.example"].map { Recipient(mailbox($0)) }
                _ = try runner.queue.expand(id, recipient: 0, into: new)
            }
            try runner.queue.finish(id)
            clock.advance(.seconds(700))
        }
        #expect(runner.queue.segments[placements[0].segment]?.promises.isEmpty == true)
        #expect(try spool.directory(.queue).open(placements[0].segment.journal, flags: O_RDONLY).size() < 200_000)
    }
}
