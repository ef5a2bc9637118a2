// The ledger's bytes broken in every way, and every call failing once: whatever happens, no segment that is mail is
// taken for one that was put back, and damage is told.

import Glibc
import MailModel
import SystemPackage
import Testing

@testable import QueueKit

@Suite struct LedgerFileTests {
    /// A ledger with something of everything: two retired segments, one that goes, one that stays, clear ones.
    private struct Story {
        let world: LedgerFixture
        let retired: [FakeSegment]
        let live: [FakeSegment]

        init() throws {
            let world = try LedgerFixture()
            self.world = world
            let run = FakeRun()
            let clear = try world.put(FakeRun(isSealed: false), 0)
            var (ledger, _) = try world.open()
            let segments = try (0..<4).map { try world.put(run, $0) }
            ledger.saw(clear)
            segments.forEach { ledger.saw($0) }
            try ledger.free(segments[0]) { try world.remove(segments[0]) }
            (ledger, _) = try world.open()
            try ledger.free(segments[2]) { try world.remove(segments[2]) }
            ledger.retiring([segments[3].name])
            try ledger.sync()
            (retired, live) = ([segments[0], segments[2]], [clear, segments[1], segments[3]])
        }

        /// Mail is never refused; what is refused was retired.
        func verify(_ ledger: Ledger, _ what: Comment) {
            for segment in live {
                #expect([.known, .fresh].contains(ledger.judge(segment)), what)
            }
            for segment in retired { #expect([.putBack, .known, .fresh].contains(ledger.judge(segment)), what) }
        }
    }

    @Test func everyFlippedBitIsToldOrHarmless() throws {
        let story = try Story()
        let whole = try story.world.bytes()
        guard case .read(let good) = try LedgerFile.read(story.world.place, story.world.keys, syscalls: LibC()) else {
            Issue.record("the ledger does not read")
            return
        }
        #expect(good.damage == nil)
        let lastFrame = try #require(Self.frames(whole).last)
        for bit in 0..<whole.count * 8 where whole.count < 4096 || bit % 7 == 0 {
            var broken = whole
            broken[bit / 8] ^= 1 << UInt8(bit % 8)
            try story.world.write(broken)
            let found = try LedgerFile.read(story.world.place, story.world.keys, syscalls: LibC())
            switch found {
            case .none: Issue.record("bit \(bit): no ledger")
            case .unusable: continue
            case .read(let reading):
                // The last frame, damaged, is a torn tail; what was before it counts.
                #expect(reading.damage != nil || bit / 8 >= lastFrame, "bit \(bit)")
            }
        }
        // The clock of a test costs little: opening is tried at some places only.
        for position in stride(from: 3, to: whole.count, by: 61) {
            var broken = whole
            broken[position] ^= 0x10
            try story.world.write(broken)
            let (ledger, findings) = try story.world.open()
            #expect(findings.count == 1 || position >= lastFrame, "byte \(position): \(findings)")
            story.verify(ledger, "byte \(position)")
        }
    }

    /// Where each frame begins.
    private static func frames(_ bytes: [UInt8]) -> [Int] {
        var starts: [Int] = []
        var position = LedgerFormat.headerLength
        while let length = LedgerFormat.payloadLength(bytes[position...], number: UInt64(starts.count)) {
            starts.append(position)
            position += LedgerFormat.frameHeaderLength + length
        }
        return starts
    }

    @Test func cutAtEveryByte() throws {
        let story = try Story()
        let whole = try story.world.bytes()
        let starts = Self.frames(whole)
        // Opening, packed state, then what was appended.
        let packed = try #require(starts.dropFirst(2).first)
        for length in 0..<whole.count {
            try story.world.write(Array(whole.prefix(length)))
            let found = try LedgerFile.read(story.world.place, story.world.keys, syscalls: LibC())
            switch found {
            case .none: Issue.record("cut at \(length): no ledger")
            case .unusable: #expect(length < LedgerFormat.headerLength)
            case .read(let reading): #expect((reading.damage != nil) == (length < packed), "cut at \(length)")
            }
            guard length % 13 == 0 else { continue }
            story.verify(try story.world.open().ledger, "cut at \(length)")
        }
    }

    @Test func aTornTailIsCutAndWhatIsBeforeItCounts() throws {
        let story = try Story()
        let whole = try story.world.bytes()
        try story.world.write(whole + [1, 2, 3] + [UInt8](repeating: 0, count: 4096))
        let (ledger, findings) = try story.world.open()
        #expect(findings.isEmpty)
        #expect(story.retired.allSatisfy { ledger.judge($0) == .putBack })
        #expect(story.live.allSatisfy { ledger.judge($0) == .known })
    }

    @Test func retiredNumbersSurviveDamageBehindThem() throws {
        let story = try Story()
        var whole = try story.world.bytes()
        let starts = Self.frames(whole)
        whole[try #require(starts.dropLast().last) + 60] ^= 1
        try story.world.write(whole)
        let (ledger, findings) = try story.world.open()
        guard case .damaged = findings.first, findings.count == 1 else {
            Issue.record("\(findings)")
            return
        }
        #expect(ledger.judge(story.retired[0]) == .putBack)
        story.verify(ledger, "damaged in the middle")
        #expect(try story.world.audit() == [])
    }

    /// Frames of one ledger in another, in another order, twice.
    @Test func framesThatWereMoved() throws {
        let (story, other) = (try Story(), try Story())
        let (whole, foreign) = (try story.world.bytes(), try other.world.bytes())
        let starts = Self.frames(whole) + [whole.count]
        let frames = zip(starts, starts.dropFirst()).map { Array(whole[$0..<$1]) }
        let head = Array(whole.prefix(LedgerFormat.headerLength))
        let rows: [(String, [UInt8])] = [
            ("swapped", head + (frames.dropLast(2) + [frames[frames.count - 1], frames[frames.count - 2]]).joined()),
            ("left out", head + (frames.dropLast(2) + [frames[frames.count - 1]]).joined()),
            ("without its opening", head + frames.dropFirst().joined()),
            ("header of another", Array(foreign.prefix(LedgerFormat.headerLength)) + frames.joined()),
            ("opening of another", head + foreign[512..<512 + 72] + frames.dropFirst().joined()),
        ]
        for (name, bytes) in rows {
            try story.world.write(bytes)
            guard case .read(let reading) = try LedgerFile.read(story.world.place, story.world.keys, syscalls: LibC())
            else { continue }
            #expect(reading.damage != nil, "\(name)")
        }
        try story.world.write(head + frames.joined() + frames[frames.count - 1])
        #expect(try story.world.open().findings.isEmpty, "a frame repeated behind the last is no more than a torn tail")
    }

    @Test func aNewerVersionIsLeftAlone() throws {
        let story = try Story()
        var bytes = try story.world.bytes()
        bytes[8] = 2
        bytes.setInteger(Checksum.crc32(Array(bytes.prefix(508))), at: 508)
        try story.world.write(bytes)
        let error = #expect(throws: QueueError.self) { try story.world.open() }
        #expect(error?.kind == .newerFormat)
        #expect(throws: QueueError.self) { try story.world.audit() }
        #expect(try story.world.bytes() == bytes)
    }

    /// Bytes that look like the beginnings of thousands of frames cost no more than reading the file a few times.
    @Test func manyFalseFramesAreSoonGivenUp() throws {
        let story = try Story()
        var bytes = try story.world.bytes() + [9]
        for _ in 0..<20_000 {
            var header = LedgerFormat.frameHeader(number: 77, length: LedgerFormat.payloadLimit, isOpening: false)
            header.setInteger(UInt32(1), at: 4)
            bytes += header
        }
        try story.world.write(bytes)
        guard case .read(let reading) = try LedgerFile.read(story.world.place, story.world.keys, syscalls: LibC())
        else {
            Issue.record("the ledger does not read")
            return
        }
        #expect(reading.damage != nil)
    }

    @Test func mutatedEntriesAreRefusedOrRead() {
        var random = Repeatable(state: 9)
        var book = LedgerBook()
        book.apply(.began(Timestamp(milliseconds: 5)))
        let run = WriterRun(.queue, .random(16))
        var numbers = NumberSet()
        [0, 1, 5, 9].forEach { numbers.insert($0) }
        let name = SegmentName(.make(SystemClock()))
        let entries: [LedgerEntry] = [
            .began(Timestamp(milliseconds: 7)), .hasForgotten, .packed([.init(run: run, last: 3)]),
            .run(WriterRun(.incoming, .random(16)), floor: 3, numbers),
            .saw(name, run, number: 8, stamp: 4, isFirst: true), .clear(SegmentName(.make(SystemClock())), stamp: nil),
            .clear(SegmentName(.make(SystemClock())), stamp: 3), .retiring(name), .retired(name),
            .writtenOff(run, below: 7), .gone(run, number: 8),
        ]
        var out = FieldWriter()
        for entry in entries { entry.append(to: &out) }
        var fields = FieldReader(out.bytes)
        var read: [LedgerEntry] = []
        while let (tag, content) = fields.next() { LedgerEntry(tag: tag, content).map { read.append($0) } }
        #expect(read == entries)
        for _ in 0..<20_000 {
            var bytes = out.bytes
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            var copy = book
            if copy.apply(Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))) {
                _ = (copy.entries(), copy.neverArrived(), copy.missing([]))
            }
        }
    }

    // MARK: Faults

    /// What the runner does, with calls that fail, until the end or until the world stops.
    private struct Life {
        let world: LedgerFixture
        let run = FakeRun()
        var segments: [FakeSegment] = []
        /// Freed: the file is gone, and `retired` was told to be durable.
        var retired: [FakeSegment] = []
        var freed: Set<SegmentName> = []

        init(_ calls: FaultySyscalls) throws { world = try LedgerFixture(calls) }

        mutating func go() throws {
            guard let (ledger, _) = try? world.open() else { return }
            for number in UInt64(0)..<4 {
                // The writer is another process: nothing of it fails.
                let segment = try world.put(run, number)
                segments.append(segment)
                #expect(ledger.judge(segment) == .fresh)
                ledger.saw(segment)
                if number == 2 { _ = try? ledger.sync() }
            }
            for segment in segments.prefix(3) { try free(segment, ledger) }
            guard let (again, findings) = try? world.open() else { return }
            // On a full disk it is said, and nothing else is wrong.
            #expect(findings.allSatisfy { if case .unwritten = $0 { true } else { false } })
            try free(segments[3], again)
        }

        private mutating func free(_ segment: FakeSegment, _ ledger: Ledger) throws {
            for _ in 0..<2 {
                ledger.retiring([segment.name])
                guard (try? ledger.sync()) != nil, !world.calls.hasStopped else { continue }
                try world.remove(segment)
                freed.insert(segment.name)
                if (try? ledger.retired(segment.name)) != nil { return retired.append(segment) }
            }
        }

        /// With calls that work again: what is there is mail, what was freed for good is not.
        func verify(_ point: Comment) throws {
            let calls = FaultySyscalls()
            let (ledger, findings) = try Ledger.open(
                world.place, in: world.spool.layout, keys: world.keys, clock: world.clock, syscalls: calls)
            // The first `open` may have been cut off before there was a ledger.
            #expect(findings.filter { $0 != .lost } == [], point)
            for segment in segments where !freed.contains(segment.name) {
                #expect([.known, .fresh].contains(ledger.judge(segment)), point)
            }
            for segment in retired { #expect(ledger.judge(segment) == .putBack, point) }
            #expect(try world.audit() == [], point)
            let leftovers = try Directory(world.spool.layout.root, syscalls: LibC()).names()
            #expect(leftovers.filter { $0.hasPrefix("ledger") } == ["ledger"], point)
        }
    }

    @Test(arguments: [false, true])
    func everyStoppingPoint(powerCut: Bool) throws {
        for point in 1..<500 {
            var life = try Life(FaultySyscalls(.stop(before: point), powerCut: powerCut))
            try life.go()
            let finished = !life.world.calls.hasStopped
            life.world.calls.endWorld()
            try life.verify("stopped before change \(point), power cut: \(powerCut)")
            if finished {
                #expect(point > 25)
                return
            }
        }
        Issue.record("the walk has no end")
    }

    @Test(arguments: [
        (CallKind.open, Errno.tooManyOpenFiles), (.pread, .ioError), (.pwrite, .noSpace), (.fdatasync, .ioError),
        (.fsync, .ioError), (.fstat, .ioError), (.fchmod, .notPermitted), (.replace, .ioError), (.unlink, .ioError),
        (.list, .ioError),
    ])
    func everyFailingCall(kind: CallKind, error: Errno) throws {
        for number in 1..<500 {
            var life = try Life(FaultySyscalls(.once(kind, number, error)))
            try life.go()
            let finished = !life.world.calls.hasFailed
            life.world.calls.heal()
            try life.verify("call \(number) of \(kind) failed")
            if finished { return }
        }
        Issue.record("the walk has no end")
    }

    /// While nothing can be written nothing is freed, and all is known afterwards.
    @Test func aFullDiskKeepsEverything() throws {
        let world = try LedgerFixture()
        let (ledger, _) = try world.open()
        let segment = try world.put(FakeRun(), 0)
        ledger.saw(segment)
        world.calls.set(.from(.pwrite, 1, .noSpace))
        ledger.retiring([segment.name])
        for _ in 0..<3 { #expect(throws: QueueError.self) { try ledger.sync() } }
        world.calls.heal()
        try ledger.sync()
        try world.remove(segment)
        try ledger.retired(segment.name)
        #expect(try world.open().ledger.judge(segment) == .putBack)
    }
}
