import Glibc
import MailModel
import Testing

@testable import QueueKit

@Suite struct NumberSetTests {
    @Test(
        arguments: [
            ("in order", [0, 1, 2, 3], 4, 0), ("backwards", [3, 2, 1, 0], 4, 0), ("with a hole", [0, 1, 3], 2, 1),
            ("a hole filled", [0, 1, 3, 5, 2], 4, 1), ("twice", [0, 0, 0], 1, 0),
            ("not from the start", [5, 6, 7], 0, 1),
            ("two ranges joined", [5, 7, 6], 0, 1), ("every other", [1, 3, 5, 7], 0, 4),
            ("the largest", [0, .max, .max - 1], 1, 1),
        ] as [(String, [UInt64], UInt64, Int)])
    func packs(name: String, numbers: [UInt64], below: UInt64, ranges: Int) {
        var set = NumberSet()
        for number in numbers { set.insert(number) }
        #expect(set.below == below && set.beyond.count == ranges)
        #expect(numbers.allSatisfy(set.contains))
        #expect(NumberSet(below: set.below, beyond: set.beyond) == set)
        for number in UInt64(0)..<12 where !numbers.contains(number) { #expect(!set.contains(number)) }
    }

    @Test func agreesWithASet() {
        var random = Repeatable(state: 4)
        for _ in 0..<50 {
            var (set, model) = (NumberSet(), Set<UInt64>())
            for _ in 0..<100 {
                let number = UInt64.random(in: 0..<80, using: &random)
                set.insert(number)
                model.insert(number)
                #expect(NumberSet(below: set.below, beyond: set.beyond) == set)
            }
            for number in UInt64(0)..<80 { #expect(set.contains(number) == model.contains(number)) }
            let holes = set.holes(from: 7, besides: [85]).flatMap { Array($0) }
            #expect(holes == (7..<85).filter { !model.contains($0) })
        }
    }

    @Test func holesAreBounded() {
        var set = NumberSet()
        for number in stride(from: UInt64(1), to: 10_001, by: 2) { set.insert(number) }
        #expect(set.beyond.count == NumberSet.holeLimit)
        #expect(set.contains(0) && set.contains(9999) && !set.contains(9998))
        #expect(set.holes(from: 0, besides: []).count == NumberSet.holeLimit)
    }

    @Test(
        arguments: [
            ("touches the beginning", 3, [3...4]), ("lies before it", 9, [3...4]), ("out of order", 0, [7...8, 3...4]),
            ("touches its neighbour", 0, [3...4, 5...6]), ("overlaps", 0, [3...5, 5...6]),
            ("behind the largest", 0, [3...UInt64.max, 1...2]),
        ] as [(String, UInt64, [ClosedRange<UInt64>])])
    func refusesWhatItNeverWrites(name: String, below: UInt64, beyond: [ClosedRange<UInt64>]) {
        #expect(NumberSet(below: below, beyond: beyond) == nil)
    }
}

@Suite struct LedgerTests {
    @Test func aLifeOfASegment() throws {
        let world = try LedgerFixture()
        let (ledger, findings) = try world.open()
        #expect(findings.isEmpty)
        let run = FakeRun()
        let first = try world.put(run, 0)
        let second = try world.put(run, 1)
        #expect(ledger.judge(first) == .fresh)
        #expect(ledger.saw(first) && ledger.saw(second) && !ledger.saw(first))
        #expect(ledger.judge(first) == .known && ledger.expects(first.name))
        try ledger.sync()
        try ledger.free(first) { try world.remove(first) }
        #expect(ledger.judge(first) == .putBack && !ledger.expects(first.name))
        #expect(ledger.judge(second) == .known)
        #expect(try world.audit() == [])
        let (again, later) = try world.open()
        #expect(later.isEmpty && again.judge(first) == .putBack && again.judge(second) == .known)
    }

    /// A crash between the file's end and its note, and one before the file's end.
    @Test func aRetirementThatWasCutOff() throws {
        let world = try LedgerFixture()
        var (ledger, _) = try world.open()
        let (gone, still) = (try world.put(FakeRun(), 0), try world.put(FakeRun(), 0))
        [gone, still].forEach { ledger.saw($0) }
        ledger.retiring([gone.name, still.name])
        try ledger.sync()
        try world.remove(gone)
        let findings: [LedgerFinding]
        (ledger, findings) = try world.open()
        #expect(findings.isEmpty && ledger.judge(gone) == .putBack && ledger.judge(still) == .known)
        #expect(ledger.saw(still) && ledger.expects(still.name), "it stays after all")
        try ledger.sync()
        try world.remove(still)
        #expect(try world.audit().count == 1)
    }

    /// Each verdict, and the same after the ledger was read again.
    @Test(arguments: [false, true])
    func verdicts(restarted: Bool) throws {
        let world = try LedgerFixture()
        let old = try world.put(FakeRun(isSealed: false), 4)
        let unread = try world.put(FakeRun(.queue, isSealed: false), 1)
        var (ledger, _) = try world.open()
        let (run, own) = (FakeRun(), FakeRun(.queue))
        let retired = try world.put(run, 0)
        let live = try world.put(run, 1)
        let single = try world.put(own, 0)
        for segment in [old, retired, live, single] { ledger.saw(segment) }
        try ledger.free(retired) { try world.remove(retired) }
        world.clock.advance(.seconds(1800))
        let duringSwitch = try world.put(FakeRun(isSealed: false), 0)
        #expect(ledger.judge(duringSwitch) == .fresh)
        ledger.saw(duringSwitch)
        try ledger.sync()
        if restarted { (ledger, _) = try world.open() }
        world.clock.advance(.seconds(1801))

        var copy = live
        copy.name = SegmentName(.make(SystemClock()))
        var sameNumber = live
        sameNumber.header = run.header(1, created: world.clock.now())
        var elsewhere = retired
        elsewhere.place = .queue
        var overwritten = old
        overwritten.header = FakeRun(isSealed: false).header(4, created: world.clock.now())
        let rows: [(String, FakeSegment, LedgerVerdict)] = [
            ("a number to come", try world.put(run, 2), .fresh),
            ("another run", try world.put(FakeRun(), 0), .fresh),
            ("on the spool", live, .known),
            ("the only one of its run", single, .known),
            ("retired", retired, .putBack),
            ("the numbers of another folder are others", elsewhere, .fresh),
            ("a copy under another name", copy, .twin(of: live.name)),
            ("another segment with its number", sameNumber, .twin(of: live.name)),
            ("clear before the switch", old, .known),
            ("clear before the switch, not read yet", unread, .known),
            ("clear within the hour", duringSwitch, .known),
            ("clear after the hour", try world.put(FakeRun(isSealed: false), 0), .clearAfterSwitch),
            ("clear over the name of one that was listed", overwritten, .clearAfterSwitch),
        ]
        for (name, segment, verdict) in rows { #expect(ledger.judge(segment) == verdict, "\(name)") }
        #expect(rows.allSatisfy { ($0.2 == .fresh || $0.2 == .known) == ($0.2.reason == nil) })
    }

    @Test func aClockThatSteppedBackAcceptsClearSegmentsAgain() throws {
        let world = try LedgerFixture()
        let (ledger, _) = try world.open()
        world.clock.stepWall(.seconds(-86400))
        #expect(ledger.judge(try world.put(FakeRun(isSealed: false), 0)) == .fresh)
    }

    // MARK: Findings

    @Test func aMissingSegmentIsToldUntilItIsWrittenOff() throws {
        let world = try LedgerFixture()
        let (ledger, _) = try world.open()
        let (run, clear) = (FakeRun(), FakeRun(.queue, isSealed: false))
        let segments = [try world.put(run, 0), try world.put(run, 1), try world.put(clear, 0)]
        segments.forEach { ledger.saw($0) }
        try ledger.sync()
        try world.remove(segments[0])
        try world.remove(segments[2])
        let missing: Set<LedgerFinding> = [
            .missing(segments[0].name, WriterRun(.incoming, run.run), number: 0), .missingClear(segments[2].name),
        ]
        #expect(try Set(world.audit()) == missing)
        let (second, findings) = try world.open()
        #expect(Set(findings) == missing && second.expects(segments[0].name))
        try world.put(segments[0])
        #expect(second.judge(segments[0]) == .known, "it came back from a backup")
        try world.remove(segments[0])
        try second.writeOff(findings)
        #expect(try world.audit() == [])
        #expect(try world.open().findings.isEmpty)
        #expect(second.judge(segments[0]) == .putBack && second.judge(segments[1]) == .known)
    }

    @Test func aSegmentPutBackIsFound() throws {
        let world = try LedgerFixture()
        let (ledger, _) = try world.open()
        let (old, live) = (try world.put(FakeRun(), 0), try world.put(FakeRun(.queue), 0))
        [old, live].forEach { ledger.saw($0) }
        try ledger.free(old) { try world.remove(old) }
        try world.put(old)
        #expect(try world.audit() == [.refused(old.name, .incoming, .putBack)])
        try world.remove(old)
        // Over the name of another: that one is missing then.
        var over = old
        (over.name, over.place) = (live.name, .incoming)
        try world.remove(live)
        try world.put(over)
        let found = try Set(world.audit())
        #expect(
            found == [
                .refused(live.name, .incoming, .putBack),
                .missing(live.name, WriterRun(.queue, live.header.run), number: 0),
            ])
        #expect(found.allSatisfy { $0.sentence("/x").hasSuffix(".") })
    }

    @Test func aSegmentUnderTheNameOfAnotherIsNotThatOne() throws {
        let world = try LedgerFixture()
        let (ledger, _) = try world.open()
        let run = FakeRun()
        let first = try world.put(run, 0)
        ledger.saw(first)
        // The host keeps number 1 back, and puts it under the name of number 0.
        var moved = try world.put(run, 1)
        try world.remove(moved)
        moved.name = first.name
        try world.put(moved)
        #expect(ledger.judge(moved) == .fresh)
        ledger.saw(moved)
        try ledger.sync()
        let missing = LedgerFinding.missing(first.name, WriterRun(.incoming, run.run), number: 0)
        #expect(try world.audit() == [missing])
        let (again, findings) = try world.open()
        #expect(findings == [missing])
        try again.writeOff(findings)
        #expect(again.judge(moved) == .known && again.judge(first) == .putBack)
        #expect(try world.audit() == [])
    }

    @Test func numbersThatNeverArrived() throws {
        let world = try LedgerFixture()
        var (ledger, _) = try world.open()
        let early = FakeRun()
        ledger.saw(try world.put(early, 7))
        world.clock.advance(.seconds(7200))
        let late = FakeRun()
        let segments = try [3, 5, 6].map { try world.put(late, $0) }
        segments.forEach { ledger.saw($0) }
        try ledger.free(segments[1]) { try world.remove(segments[1]) }
        let run = WriterRun(.incoming, late.run)
        let holes: Set<LedgerFinding> = [.neverArrived(run, 0...2), .neverArrived(run, 4...4)]
        #expect(try Set(world.audit()) == holes, "the run that is older than the ledger has none")
        (ledger, _) = try world.open()
        #expect(try Set(world.audit()) == holes)
        // Not read by the runner yet: it has arrived.
        let waiting = try world.put(late, 4)
        #expect(try world.audit() == [.neverArrived(run, 0...2)])
        try ledger.writeOff(try world.audit())
        #expect(try world.audit() == [])
        #expect(ledger.judge(waiting) == .fresh, "what is written off may still come")
        #expect(ledger.judge(try world.put(late, 1)) == .fresh)
    }

    // MARK: Beginnings and ends

    @Test func aMissingLedgerIsToldWhenTheQueueWasSealed() throws {
        let world = try LedgerFixture()
        let clear = try world.put(FakeRun(isSealed: false), 0)
        #expect(try world.open().findings.isEmpty, "the first one")
        try Ledger.remove(world.place)
        #expect(try world.audit() == [])
        #expect(try world.open().findings.isEmpty)
        let sealed = try world.put(FakeRun(), 9)
        try Ledger.remove(world.place)
        #expect(try world.audit() == [.lost])
        let (ledger, findings) = try world.open()
        #expect(findings == [.lost])
        #expect(ledger.judge(sealed) == .fresh && ledger.judge(clear) == .known)
        ledger.saw(sealed)
        try ledger.sync()
        #expect(try world.audit() == [], "nobody knows of numbers 0 to 8")
        try Ledger.remove(world.place)
        try Ledger.remove(world.place)
    }

    @Test func aSealedJournalSaysThatThereWasALedger() throws {
        let world = try LedgerFixture()
        let name = "\(QueueID.make(SystemClock())).journal"
        let file = try world.spool.directory(.queue).open(name, flags: O_RDWR | O_CREAT, mode: 0o640)
        var header = JournalFormat.Header(segmentStamp: 1, created: world.clock.now()).bytes
        try file.write(header, at: 0)
        #expect(try world.audit() == [])
        header[10] = 1
        try file.write(header, at: 0)
        #expect(try world.audit() == [.lost])
    }

    @Test func anotherKeysLedgerIsKeptAside() throws {
        let world = try LedgerFixture()
        _ = try world.open()
        let before = try world.bytes()
        let (_, findings) = try world.open(try KeyRing(.random()))
        guard case .damaged(let why, let kept?) = findings.first else {
            Issue.record("\(findings)")
            return
        }
        #expect(why.contains("\(world.keys.publicKey.id)"))
        let file = try OpenFile("\(world.spool.layout.root)/\(kept)", flags: O_RDONLY, syscalls: LibC())
        #expect(try file.read(1 << 20, at: 0) == before)
    }

    @Test func anEarlierGenerationsLedgerIsReadOn() throws {
        let (old, new) = (try SpoolSeed.random(), try SpoolSeed.random())
        let world = try LedgerFixture()
        let segment = try world.put(FakeRun(), 0)
        let (ledger, _) = try world.open(try KeyRing(old))
        ledger.saw(segment)
        try ledger.free(segment) { try world.remove(segment) }
        let (next, findings) = try world.open(try KeyRing(new, previous: [old]))
        #expect(findings.isEmpty && next.judge(segment) == .putBack)
        #expect(try world.open(try KeyRing(new)).ledger.judge(segment) == .putBack, "sealed with the new key now")
    }

    @Test func itMayLieOffTheSpool() throws {
        let world = try LedgerFixture()
        let place = LedgerPlace(world.spool.layout, path: world.spool.layout.root + "/../elsewhere")
        let (ledger, _) = try Ledger.open(place, in: world.spool.layout, keys: world.keys, syscalls: FaultySyscalls())
        let segment = try world.put(FakeRun(), 0)
        ledger.saw(segment)
        try ledger.sync()
        try world.remove(segment)
        #expect(try Ledger.audit(place, in: world.spool.layout, keys: world.keys).count == 1)
        let none = LedgerPlace(world.spool.layout, path: "/nonexistent/ledger")
        let error = #expect(throws: QueueError.self) {
            try Ledger.open(none, in: world.spool.layout, keys: world.keys, syscalls: FaultySyscalls())
        }
        #expect(error?.exitStatus == 78 && error?.description.contains("queue ledger") == true)
    }

    @Test(arguments: ["a folder", "a FIFO", "a symbolic link", "an empty file"])
    func whatIsNoLedgerIsKeptAside(what: String) throws {
        let world = try LedgerFixture()
        switch what {
        case "a folder": mkdir(world.place.path, 0o755)
        case "a FIFO": mkfifo(world.place.path, 0o600)
        case "a symbolic link": symlink("/etc/passwd", world.place.path)
        default: try world.write([])
        }
        #expect(try world.audit().count == 1)
        let (_, findings) = try world.open()
        #expect(findings.count == 1)
        #expect(try world.open().findings.isEmpty)
    }

    // MARK: Limits

    @Test func theOldestRunsAreForgotten() throws {
        let clock = FixedClock()
        var book = LedgerBook(idleLimit: 100)
        book.apply(.began(clock.now()))
        let runs = (0..<150).map { _ in FakeRun() }
        let live = runs[3]
        for (number, run) in runs.enumerated() {
            let name = SegmentName(.make(SystemClock()))
            book.apply(.saw(name, WriterRun(.incoming, run.run), number: 0, stamp: UInt64(number), isFirst: false))
            if run.run != live.run { book.apply(.retired(name)) }
        }
        var copy = LedgerBook(idleLimit: 100)
        for entry in book.entries() { copy.apply(entry) }
        for book in [book, copy] {
            #expect(book.runs.count <= 101 && book.runs.count > 80 && book.hasForgotten)
            let known = runs.filter { book.runs[WriterRun(.incoming, $0.run)] != nil }.map(\.run)
            #expect(known.contains(live.run) && !known.contains(runs[0].run) && known.contains(runs[149].run))
            #expect(book.missing([]).count == 1)
        }
    }

    /// DESIGN: about 24 bytes a run.
    @Test func packedSize() throws {
        let world = try LedgerFixture()
        let (ledger, _) = try world.open()
        for _ in 0..<5000 {
            let name = SegmentName(.make(SystemClock()))
            let header = FakeRun().header(0, created: world.clock.now())
            ledger.saw(name, header, in: .queue)
            ledger.retiring([name])
            try ledger.retired(name)
        }
        #expect(try world.bytes().count < 1 << 21, "packed now and then")
        world.clock.advance(.seconds(1))
        _ = try world.open()
        #expect(try world.bytes().count < 5000 * 26 + 2000 + Int(LedgerFile.reserveStep))
    }
}
