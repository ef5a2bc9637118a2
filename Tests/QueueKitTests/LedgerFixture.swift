// Segments as files with nothing but a header, and a ledger that knows them.

import Glibc
import MailModel

@testable import QueueKit

/// A writer's run, handing out headers.
struct FakeRun {
    let place: SpoolLayout.Place
    let run = [UInt8].random(16)
    var isSealed = true

    init(_ place: SpoolLayout.Place = .incoming, isSealed: Bool = true) {
        (self.place, self.isSealed) = (place, isSealed)
    }

    func header(_ number: UInt64, created: Timestamp) -> SegmentHeader {
        SegmentHeader(
            flags: isSealed ? .sealed : [], role: place == .queue ? .runner : .listener, created: created, run: run,
            number: number)
    }
}

/// A segment on the spool.
struct FakeSegment {
    var name: SegmentName
    var header: SegmentHeader
    var place: SpoolLayout.Place
}

/// A spool with keys and a ledger.
struct LedgerFixture {
    let spool: TemporarySpool
    let clock = FixedClock()
    let keys: KeyRing
    let calls: FaultySyscalls
    var place: LedgerPlace { LedgerPlace(spool.layout) }

    init(_ calls: FaultySyscalls = FaultySyscalls()) throws {
        (spool, self.calls) = (try TemporarySpool(), calls)
        keys = try KeyRing(.random())
    }

    func open(_ keys: KeyRing? = nil) throws -> (ledger: Ledger, findings: [LedgerFinding]) {
        try Ledger.open(place, in: spool.layout, keys: keys ?? self.keys, clock: clock, syscalls: calls)
    }

    func audit() throws -> [LedgerFinding] {
        try Ledger.audit(place, in: spool.layout, keys: keys, clock: clock, syscalls: LibC())
    }

    /// Puts a segment's file on the spool.
    func put(_ run: FakeRun, _ number: UInt64) throws -> FakeSegment {
        let segment = FakeSegment(
            name: SegmentName(.make(SystemClock())), header: run.header(number, created: clock.now()), place: run.place)
        try put(segment)
        return segment
    }

    func put(_ segment: FakeSegment) throws {
        let file = try spool.directory(segment.place).open(
            segment.name.description, flags: O_RDWR | O_CREAT | O_TRUNC, mode: 0o640)
        try file.write(segment.header.blocks, at: 0)
    }

    func remove(_ segment: FakeSegment) throws {
        try spool.directory(segment.place).unlink(segment.name.description)
    }

    /// The bytes of the ledger.
    func bytes() throws -> [UInt8] {
        let file = try OpenFile(place.path, flags: O_RDONLY, syscalls: LibC())
        return try file.read(Int(try file.size()), at: 0)
    }

    func write(_ bytes: [UInt8]) throws {
        let file = try OpenFile(place.path, flags: O_RDWR | O_CREAT | O_TRUNC, mode: 0o640, syscalls: LibC())
        try file.write(bytes, at: 0)
    }
}

extension Ledger {
    func judge(_ segment: FakeSegment) -> LedgerVerdict { judge(segment.name, segment.header, in: segment.place) }

    @discardableResult
    func saw(_ segment: FakeSegment) -> Bool { saw(segment.name, segment.header, in: segment.place) }

    /// As the housekeeper frees one.
    func free(_ segment: FakeSegment, _ remove: () throws -> Void) throws {
        retiring([segment.name])
        try sync()
        try remove()
        try retired(segment.name)
    }
}
