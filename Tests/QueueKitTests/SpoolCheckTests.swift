// A spool with something of everything, broken in one place at a time.

import Glibc
import MailModel
import Testing

@testable import QueueKit

@Suite struct SpoolCheckTests {
    /// Two messages in a closed segment with a journal, one in a listener's, a drop.
    private struct World {
        let spool: TemporarySpool
        let clock = FixedClock()
        let ids: [QueueID]
        let segment: String
        let journal: String

        init() throws {
            let spool = try TemporarySpool()
            self.spool = spool
            let intake = try Intake(spool.layout, place: .incoming, syscalls: FaultySyscalls())
            ids = try (0..<3).map { number in
                let envelope = envelope()
                _ = try intake.store(envelope, numbered(number, size: 1000))
                return envelope.id
            }
            intake.close()
            let runner = try TestRunner(spool, FaultySyscalls(), clock: clock, protection: Protection.none)
            runner.collect { runner.queue.count == 3 }
            try runner.attempt(ids[0], .delivered)
            try runner.attempt(ids[1], .deferred)
            runner.queue.close()
            segment = try #require(try spool.names(.incoming).first { $0.hasSuffix(".seg") })
            journal = try #require(try spool.names(.queue).first { $0.hasSuffix(".journal") })
            try submit(spool, envelope(), protection: Protection.none)
        }

        var segmentPath: String { "\(spool.layout.path(.incoming))/\(segment)" }
        var journalPath: String { "\(spool.layout.path(.queue))/\(journal)" }

        func check(_ clock: any TimeSource = SystemClock()) throws -> CheckReport {
            var check = try SpoolCheck(spool.layout, clock: clock, syscalls: LibC())
            return try check.run()
        }

        /// Where a message begins in the segment.
        func offset(_ number: Int) throws -> Int64 {
            let reader = try SegmentReader(
                try OpenFile(segmentPath, flags: O_RDONLY, syscalls: LibC()), in: .incoming, keys: nil)
            let scan = try reader.scan(from: 1024, limit: reader.file.size(), verifyingContent: true)
            return try #require(scan.messages.first { $0.id == ids[number] }).offset
        }

        func flip(_ path: String, at offset: Int64) throws {
            let file = try OpenFile(path, flags: O_RDWR, syscalls: LibC())
            try file.write([try file.read(1, at: offset)[0] ^ 1], at: offset)
        }
    }

    private static func summary(_ report: CheckReport) -> [String] {
        report.findings.map { "\($0.level) \($0.kind)" }
    }

    @Test func aHealthySpool() throws {
        let world = try World()
        let report = try world.check()
        #expect(report.findings.isEmpty && !report.hasFaults)
        var counts = CheckCounts()
        (counts.segments, counts.journals, counts.messages, counts.octets, counts.drops) = (1, 1, 2, 2000, 1)
        #expect(report.counts == counts)
        // While a writer and a runner are at work.
        let intake = try Intake(world.spool.layout, place: .incoming, syscalls: FaultySyscalls())
        _ = try intake.store(envelope(), text(1000))
        let runner = try TestRunner(world.spool, FaultySyscalls(), clock: world.clock, protection: Protection.none)
        runner.collect { runner.queue.count == 4 }
        let live = try world.check()
        #expect(live.findings.isEmpty && live.counts.messages == 4, "\(live)")
        runner.queue.close()
        intake.close()
    }

    @Test func anotherKindOfSpoolIsRefused() throws {
        let world = try World()
        let error = #expect(throws: QueueError.self) {
            _ = try SpoolCheck(SpoolLayout(root: world.spool.layout.root + "/none"))
        }
        #expect(error?.kind == .missing)
    }

    // MARK: Segments

    @Test func everyByteOfAMessageCounts() throws {
        let world = try World()
        let (start, after) = (try world.offset(1), try world.offset(2))
        let end = start + 80 * 3 + 1016
        #expect(end < after)
        var missed = 0
        // The last bytes of a record's tag mean nothing in a plain queue.
        for offset in stride(from: start, to: end, by: 37) where !(68..<80).contains(offset - start) {
            try world.flip(world.segmentPath, at: offset)
            let report = try world.check()
            let found = report.findings.filter { $0.message == world.ids[1] && $0.level == .fault }
            if found.count != 1 || report.findings.count != 1 { missed += 1 }
            try world.flip(world.segmentPath, at: offset)
        }
        #expect(missed == 0)
        #expect(try world.check().findings.isEmpty)
    }

    @Test func aDamagedMessageThatWasDeliveredIsANote() throws {
        let world = try World()
        try world.flip(world.segmentPath, at: try world.offset(0) + 700)
        let report = try world.check()
        #expect(Self.summary(report) == ["note message"] && report.findings.first?.message == world.ids[0])
        #expect(!report.hasFaults)
    }

    @Test func aSegmentWithoutHeader() throws {
        let world = try World()
        try world.flip(world.segmentPath, at: 20)
        #expect(try world.check().findings.isEmpty, "the other block serves")
        try world.flip(world.segmentPath, at: 532)
        #expect(try Self.summary(world.check()) == ["fault segment"])
    }

    @Test func aSegmentThatWasCut() throws {
        let world = try World()
        truncate(world.segmentPath, Int(try world.offset(2)) + 100)
        let report = try world.check()
        #expect(report.hasFaults && report.findings.contains { $0.message == world.ids[2] })
        #expect(report.counts.messages == 1)
    }

    @Test func manyDamagedMessagesAreNotAllTold() throws {
        let spool = try TemporarySpool()
        let intake = try Intake(spool.layout, place: .queue, syscalls: FaultySyscalls())
        for _ in 0..<60 { _ = try intake.store(envelope(), text(10)) }
        intake.close()
        let name = try #require(try spool.names(.queue).first)
        let file = try OpenFile("\(spool.layout.path(.queue))/\(name)", flags: O_RDWR, syscalls: LibC())
        for offset in stride(from: Int64(1024 + 100), to: try file.size() - 1024, by: 512) {
            try file.write([try file.read(1, at: offset)[0] ^ 1], at: offset)
        }
        var check = try SpoolCheck(spool.layout)
        let report = try check.run()
        #expect(report.hasFaults && report.findings.count == SpoolCheck.linesPerSegment + 1)
    }

    @Test func oneMessageTwice() throws {
        let world = try World()
        let copy = "\(QueueID.make(SystemClock())).seg"
        let source = try OpenFile(world.segmentPath, flags: O_RDONLY, syscalls: LibC())
        let target = try world.spool.directory(.queue).open(copy, flags: O_RDWR | O_CREAT, mode: 0o640)
        try target.write(try source.read(Int(try source.size()), at: 0), at: 0)
        let report = try world.check()
        // The one that was delivered is in the queue again.
        #expect(Set(report.findings.map(\.message)) == [world.ids[1], world.ids[2]] && report.hasFaults)
    }

    // MARK: Journals

    @Test func journals() throws {
        let world = try World()
        let file = try OpenFile(world.journalPath, flags: O_RDWR, syscalls: LibC())
        let whole = try file.read(Int(try file.size()), at: 0)
        let contents = try JournalReader.read(whole, keys: nil)
        let end = Int(try #require(contents).end)
        func set(_ bytes: [UInt8]) throws {
            try file.truncate(to: 0)
            try file.write(bytes, at: 0)
        }
        var noHeader = whole
        noHeader[20] ^= 1
        var middle = whole
        middle[600] ^= 1
        var stamp = JournalFormat.Header(segmentStamp: 77, created: world.clock.now()).bytes
        stamp += whole.dropFirst(512)
        let rows: [(String, [UInt8], [String])] = [
            ("reserved room", Array(whole.prefix(end)) + [UInt8](repeating: 0, count: 4096), []),
            ("a torn tail", Array(whole.prefix(end - 10)), ["note journal"]),
            ("its header broken", noHeader, ["fault journal"]),
            ("its header cut", Array(whole.prefix(300)), ["fault journal"]),
            ("damaged in its middle", middle, ["fault journal"]),
            ("of another segment", stamp, ["fault journal"]),
            ("never written", [UInt8](repeating: 0, count: 2000), ["note journal"]),
            ("empty", [], ["note journal"]),
        ]
        for (name, bytes, expected) in rows {
            try set(bytes)
            #expect(try Self.summary(world.check()) == expected, "\(name)")
        }
        try set(whole)
        try world.spool.directory(.incoming).unlink(world.segment)
        #expect(try Self.summary(world.check()) == ["note leftover"])
    }

    // MARK: Other files

    @Test(arguments: [
        ("queue/notes.txt", "fault stranger"), ("incoming/core", "fault stranger"), ("queue/tmp.abc", "note leftover"),
        ("incoming/0000000000000000000g.journal", "fault stranger"),
        ("queue/0000000000000000000g.journal.new", "note leftover"),
        ("queue/0000000000000000000g.journal", "note leftover"), ("queue/spare.x", "note spare"),
        ("queue/0000000000000000000g.seg", "note leftover"), ("queue/0000000000000000000G.seg", "fault stranger"),
        ("offline/junk", "note drop"), ("quarantine/x.reason", "note leftover"), ("quarantine/x", "note quarantine"),
    ])
    func files(name: String, expected: String) throws {
        let world = try World()
        _ = try OpenFile(
            "\(world.spool.layout.root)/\(name)", flags: O_RDWR | O_CREAT, mode: 0o640, syscalls: LibC())
        #expect(try Self.summary(world.check()) == [expected])
    }

    @Test(arguments: ["queue/0000000000000000000g.seg", "queue/0000000000000000000g.journal", "offline/x.drop"])
    func whatIsNoFile(name: String) throws {
        let world = try World()
        let path = "\(world.spool.layout.root)/\(name)"
        for make in [{ mkfifo(path, 0o600) }, { symlink("/etc/passwd", path) }, { mkdir(path, 0o700) }] {
            #expect(make() == 0)
            // A journal that is none belongs to no segment here; whoever opens it for one says so.
            #expect(try Self.summary(world.check()).count == (name.hasSuffix(".journal") ? 0 : 1))
            remove(path)
        }
    }

    @Test func quarantineSaysWhy() throws {
        let world = try World()
        let quarantine = Quarantine(directory: try world.spool.directory(.quarantine), clock: world.clock)
        try quarantine.take(world.segment, from: try world.spool.directory(.incoming), reason: "It was strange.")
        let finding = try #require(try world.check().findings.first { $0.kind == .quarantine })
        #expect(finding.level == .note && finding.sentence.hasPrefix("It was strange. It has "))
    }

    @Test func aDropThatIsOldAndNotWhole() throws {
        let world = try World()
        let name = try #require(try world.spool.names(.offline).first)
        let path = "\(world.spool.layout.path(.offline))/\(name)"
        chmod(path, 0o640)
        try world.flip(path, at: 1300)
        #expect(try Self.summary(world.check()) == ["note drop"])
        world.clock.stepWall(.seconds(300 * 86400 * 365))
        #expect(try Self.summary(world.check(world.clock)) == ["fault drop"])
    }

    // MARK: Sealed files

    @Test func withoutKeysSealedFilesAreCounted() throws {
        let world = try World()
        let (run, name) = (FakeRun(.queue), SegmentName(.make(SystemClock())))
        let file = try world.spool.directory(.queue).open(name.description, flags: O_RDWR | O_CREAT, mode: 0o640)
        try file.write(run.header(0, created: world.clock.now()).blocks, at: 0)
        let report = try world.check()
        #expect(Self.summary(report) == ["unchecked sealed"] && report.counts.sealed == 1 && !report.hasFaults)
    }

    @Test func withKeysSealedFilesAreVerified() throws {
        let spool = try TemporarySpool()
        let keys = try KeyRing(.random())
        let sealer = try SegmentSealer(writer: try #require(keys.writerKey(.listener)))
        let intake = try Intake(
            spool.layout, place: .incoming, protection: Protection(sealer: sealer, compressing: true),
            syscalls: FaultySyscalls())
        _ = try intake.store(envelope(), numbered(1, size: 3000))
        let damaged = envelope()
        let placed = try intake.store(damaged, numbered(2, size: 3000))
        intake.close()
        var check = try SpoolCheck(spool.layout, keys: keys)
        let healthy = try check.run()
        #expect(healthy.findings.isEmpty && healthy.counts.messages == 2 && healthy.counts.octets == 6000)
        let file = try spool.directory(.incoming).open(placed.segment.description, flags: O_RDWR)
        let offset = placed.message.contentOffset + 90
        try file.write([try file.read(1, at: offset)[0] ^ 1], at: offset)
        check = try SpoolCheck(spool.layout, keys: keys)
        let report = try check.run()
        #expect(Self.summary(report) == ["fault message"] && report.findings.first?.message == damaged.id)
        check = try SpoolCheck(spool.layout, keys: try KeyRing(.random()))
        let held = try check.run()
        #expect(Self.summary(held) == ["fault segment"])
        #expect(held.findings.first?.sentence.contains("\(keys.publicKey.id)") == true)
    }

    @Test func theLedgerIsCompared() throws {
        let world = try LedgerFixture()
        let (ledger, _) = try world.open()
        let segment = try world.put(FakeRun(), 0)
        ledger.saw(segment)
        try ledger.sync()
        try world.remove(segment)
        var check = try SpoolCheck(world.spool.layout, keys: world.keys, ledger: world.place, clock: world.clock)
        let report = try check.run()
        #expect(Self.summary(report) == ["fault ledger"])
        #expect(report.findings.first?.sentence.contains("\(segment.name) is missing") == true)
    }
}
