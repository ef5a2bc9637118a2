// Owns: what a ledger can say, and its bytes. Refuses: files, what the entries add up to (LedgerBook).

import MailModel

/// A writer's run, in the folder that this writer writes to.
struct WriterRun: Hashable, Sendable {
    /// 1 `incoming/`, 2 `queue/`.
    let place: UInt8
    private let high: UInt64
    private let low: UInt64

    static let length = 17

    init(_ place: SpoolLayout.Place, _ run: [UInt8]) {
        self.place = place == .incoming ? 1 : 2
        (high, low) = (run.integer() ?? 0, run.integer(at: 8) ?? 0)
    }

    init?(_ bytes: ArraySlice<UInt8>) {
        guard let place: UInt8 = bytes.integer(), (1...2).contains(place), let high: UInt64 = bytes.integer(at: 1),
            let low: UInt64 = bytes.integer(at: 9)
        else { return nil }
        (self.place, self.high, self.low) = (place, high, low)
    }

    var bytes: [UInt8] {
        var out = [place]
        out.appendInteger(high)
        out.appendInteger(low)
        return out
    }

    /// As operators see it: the first half of its digits is enough to tell runs apart.
    var text: String { Array(bytes[1..<9]).hex }
    var folder: SpoolLayout.Place { place == 1 ? .incoming : .queue }
}

enum LedgerEntry: Hashable, Sendable {
    /// Sealing was switched on, or a new ledger begun.
    case began(Timestamp)
    /// Segments that nobody remembers may have been numbered before those that are seen first.
    case hasForgotten
    /// Runs of which all numbers up to the given one are retired: `packed` of them take 25 bytes each.
    case packed([PackedRun])
    /// Any other run; holes below `floor` are none.
    case run(WriterRun, floor: UInt64, NumberSet)
    /// A sealed segment lies on the spool. With `isFirst`, numbers below it in a new run are nobody's loss.
    case saw(SegmentName, WriterRun, number: UInt64, stamp: UInt64, isFirst: Bool)
    /// A clear segment that is no intruder; without a stamp nobody has read it yet.
    case clear(SegmentName, stamp: UInt64?)
    /// Its messages are final: its file is about to go.
    case retiring(SegmentName)
    case retired(SegmentName)
    /// An operator knows of the holes of a run.
    case writtenOff(WriterRun, below: UInt64)
    /// An operator knows that a segment is missing.
    case gone(WriterRun, number: UInt64)

    struct PackedRun: Hashable, Sendable {
        var run: WriterRun
        var last: UInt64
    }

    private enum Tag: UInt8 {
        case began = 1, hasForgotten, packed, run, saw, clear, retiring, retired, writtenOff, gone
    }

    private static let nameLength = 13

    func append(to out: inout FieldWriter) {
        switch self {
        case .began(let time): out.field(Tag.began.rawValue, time.milliseconds)
        case .hasForgotten: out.field(Tag.hasForgotten.rawValue, [])
        case .packed(let rows):
            out.field(Tag.packed.rawValue) { out in
                for row in rows { out.append(Self.bytes(row.run.bytes, row.last)) }
            }
        case .run(let run, let floor, let retired):
            out.field(Tag.run.rawValue) { out in
                out.append(Self.bytes(run.bytes, floor, retired.below))
                for range in retired.beyond { out.append(Self.bytes([], range.lowerBound, range.upperBound)) }
            }
        case .saw(let name, let run, let number, let stamp, let isFirst):
            out.field(Tag.saw.rawValue, Self.bytes(name.id.bytes + run.bytes, number, stamp) + [isFirst ? 1 : 0])
        case .clear(let name, let stamp):
            out.field(Tag.clear.rawValue, stamp.map { Self.bytes(name.id.bytes, $0) } ?? name.id.bytes)
        case .retiring(let name): out.field(Tag.retiring.rawValue, name.id.bytes)
        case .retired(let name): out.field(Tag.retired.rawValue, name.id.bytes)
        case .writtenOff(let run, let below): out.field(Tag.writtenOff.rawValue, Self.bytes(run.bytes, below))
        case .gone(let run, let number): out.field(Tag.gone.rawValue, Self.bytes(run.bytes, number))
        }
    }

    private static func bytes(_ start: [UInt8], _ numbers: UInt64...) -> [UInt8] {
        var out = start
        for number in numbers { out.appendInteger(number) }
        return out
    }

    /// Reads one entry; nil when it is not one of ours.
    init?(tag: UInt8, _ content: ArraySlice<UInt8>) {
        let entry: LedgerEntry?
        switch Tag(rawValue: tag) {
        case nil: entry = nil
        case .began: entry = content.count == 8 ? content.integer().map { .began(Timestamp(milliseconds: $0)) } : nil
        case .hasForgotten: entry = content.isEmpty ? .hasForgotten : nil
        case .packed: entry = Self.readPacked(content)
        case .run: entry = Self.readRun(content)
        case .saw: entry = Self.readSaw(content)
        case .clear: entry = Self.readClear(content)
        case .retiring: entry = Self.name(content).map { .retiring($0) }
        case .retired: entry = Self.name(content).map { .retired($0) }
        case .writtenOff: entry = Self.readNumber(content).map { .writtenOff($0, below: $1) }
        case .gone: entry = Self.readNumber(content).map { .gone($0, number: $1) }
        }
        guard let entry else { return nil }
        self = entry
    }

    private static func readNumber(_ content: ArraySlice<UInt8>) -> (WriterRun, UInt64)? {
        guard content.count == WriterRun.length + 8, let run = WriterRun(content),
            let number: UInt64 = content.integer(at: WriterRun.length)
        else { return nil }
        return (run, number)
    }

    private static func name(_ content: ArraySlice<UInt8>) -> SegmentName? {
        QueueID(bytes: content).map { SegmentName($0) }
    }

    private static func readPacked(_ content: ArraySlice<UInt8>) -> LedgerEntry? {
        let length = WriterRun.length + 8
        guard content.count % length == 0 else { return nil }
        var rows: [PackedRun] = []
        rows.reserveCapacity(content.count / length)
        var rest = content
        while !rest.isEmpty {
            guard let run = WriterRun(rest), let last: UInt64 = rest.integer(at: WriterRun.length), last < .max else {
                return nil
            }
            rows.append(PackedRun(run: run, last: last))
            rest = rest.dropFirst(length)
        }
        return .packed(rows)
    }

    private static func readRun(_ content: ArraySlice<UInt8>) -> LedgerEntry? {
        var rest = content.dropFirst(WriterRun.length + 16)
        guard let run = WriterRun(content), let floor: UInt64 = content.integer(at: WriterRun.length),
            let below: UInt64 = content.integer(at: WriterRun.length + 8), rest.count % 16 == 0,
            rest.count / 16 <= NumberSet.holeLimit
        else { return nil }
        var beyond: [ClosedRange<UInt64>] = []
        while let lower: UInt64 = rest.integer(), let upper: UInt64 = rest.integer(at: 8) {
            guard lower <= upper else { return nil }
            beyond.append(lower...upper)
            rest = rest.dropFirst(16)
        }
        return NumberSet(below: below, beyond: beyond).map { .run(run, floor: floor, $0) }
    }

    private static func readSaw(_ content: ArraySlice<UInt8>) -> LedgerEntry? {
        guard content.count == nameLength + WriterRun.length + 17, let name = name(content.prefix(nameLength)) else {
            return nil
        }
        let rest = content.dropFirst(nameLength)
        guard let run = WriterRun(rest), let number: UInt64 = rest.integer(at: WriterRun.length),
            let stamp: UInt64 = rest.integer(at: WriterRun.length + 8), let first = rest.last, first <= 1
        else { return nil }
        return .saw(name, run, number: number, stamp: stamp, isFirst: first == 1)
    }

    private static func readClear(_ content: ArraySlice<UInt8>) -> LedgerEntry? {
        guard content.count == nameLength || content.count == nameLength + 8,
            let name = name(content.prefix(nameLength))
        else { return nil }
        return .clear(name, stamp: content.integer(at: nameLength))
    }
}
