// Owns: what the entries of a ledger add up to: which segments are on the spool, which numbers are retired (pure
// replay). Refuses: files, clocks, judging (LedgerVerdict).
//
//   (never seen) --saw--> live --retiring--> going --retired--> (its number is retired)

import MailModel

struct LedgerBook: Sendable {
    /// Runs without a segment on the spool that are remembered. Beyond it the tenth that was retired first is forgotten:
    /// a segment of theirs that is put back is taken for a new one.
    static let idleLimit = 200_000

    struct Run: Sendable {
        var retired = NumberSet()
        /// Holes below it are nobody's loss.
        var floor: UInt64 = 0
        var live: [UInt64: LiveSegment] = [:]
        /// When its last segment went, as a count of such ends.
        var idleSince: UInt64 = 0

        var holes: [ClosedRange<UInt64>] { retired.holes(from: floor, besides: live.keys) }
    }

    struct LiveSegment: Hashable, Sendable {
        var name: SegmentName
        var stamp: UInt64
        /// Its file goes, or is gone already.
        var isGoing = false
    }

    struct ClearSegment: Hashable, Sendable {
        /// Nil when nobody has read it yet.
        var stamp: UInt64?
        var isGoing = false
    }

    private struct Place: Hashable, Sendable {
        var run: WriterRun
        var number: UInt64
    }

    private(set) var began = Timestamp(milliseconds: 0)
    /// Whether a run that is seen for the first time may be older than what is remembered.
    private(set) var hasForgotten = false
    private(set) var runs: [WriterRun: Run] = [:]
    private(set) var clear: [SegmentName: ClearSegment] = [:]
    private var names: [SegmentName: Place] = [:]
    private var idleCount = 0
    private var ends: UInt64 = 0
    let idleLimit: Int

    init(idleLimit: Int = idleLimit) { self.idleLimit = idleLimit }

    /// The sealed segment that has this name.
    func live(_ name: SegmentName) -> LiveSegment? {
        names[name].flatMap { place in runs[place.run]?.live[place.number] }
    }

    /// Whether a segment of this name must be on the spool.
    func expects(_ name: SegmentName) -> Bool {
        if let live = live(name) { return !live.isGoing }
        return clear[name].map { $0.stamp != nil && !$0.isGoing } ?? false
    }

    // MARK: Replay

    /// Takes entries one after another; false when one is not ours.
    mutating func apply(_ payload: [UInt8]) -> Bool {
        var fields = FieldReader(payload)
        while let (tag, content) = fields.next() {
            guard let entry = LedgerEntry(tag: tag, content) else { return false }
            apply(entry)
        }
        return !fields.isMalformed
    }

    mutating func apply(_ entry: LedgerEntry) {
        switch entry {
        case .began(let time): began = time
        case .hasForgotten: hasForgotten = true
        case .packed(let rows):
            for row in rows {
                add(row.run, Run(retired: NumberSet(below: row.last + 1, beyond: []) ?? NumberSet()))
            }
        case .run(let key, let floor, let retired): add(key, Run(retired: retired, floor: floor))
        case .saw(let name, let key, let number, let stamp, let isFirst):
            saw(name, Place(run: key, number: number), stamp, isFirst: isFirst)
        case .clear(let name, let stamp): clear[name] = ClearSegment(stamp: stamp)
        case .retiring(let name): mark(name)
        case .retired(let name): retire(name)
        case .writtenOff(let key, let below):
            let floor = runs[key]?.floor ?? 0
            runs[key]?.floor = max(below, floor)
        case .gone(let key, let number):
            let place = Place(run: key, number: number)
            if let name = runs[key]?.live[number]?.name, names[name] == place { names[name] = nil }
            retire(place)
        }
    }

    /// Nothing is forgotten here: which of them have segments on the spool stands behind them.
    private mutating func add(_ key: WriterRun, _ run: Run) {
        guard runs[key] == nil else { return }
        runs[key] = run
        becameIdle(key)
    }

    private mutating func saw(_ name: SegmentName, _ place: Place, _ stamp: UInt64, isFirst: Bool) {
        clear[name] = nil
        names[name] = place
        if let run = runs[place.run] {
            if run.live.isEmpty { idleCount -= 1 }
        } else {
            runs[place.run] = Run(floor: isFirst ? place.number : 0)
        }
        runs[place.run]?.live[place.number] = LiveSegment(name: name, stamp: stamp)
    }

    private mutating func mark(_ name: SegmentName) {
        if let place = names[name] { runs[place.run]?.live[place.number]?.isGoing = true }
        clear[name]?.isGoing = true
    }

    private mutating func retire(_ name: SegmentName) {
        clear[name] = nil
        guard let place = names.removeValue(forKey: name) else { return }
        retire(place)
    }

    private mutating func retire(_ place: Place) {
        guard runs[place.run]?.live.removeValue(forKey: place.number) != nil else { return }
        runs[place.run]?.retired.insert(place.number)
        guard runs[place.run]?.live.isEmpty ?? false else { return }
        becameIdle(place.run)
        if idleCount > idleLimit { forgetSome() }
    }

    private mutating func becameIdle(_ key: WriterRun) {
        ends += 1
        runs[key]?.idleSince = ends
        idleCount += 1
    }

    private mutating func forgetSome() {
        // A tenth at once: each run is then looked at some ten times in all.
        let idle = runs.lazy.filter { $0.value.live.isEmpty }.map { (key: $0.key, end: $0.value.idleSince) }
        let oldest = idle.sorted { $0.end < $1.end }.prefix(max(1, idleLimit / 10))
        for (key, _) in oldest { runs[key] = nil }
        idleCount -= oldest.count
        hasForgotten = true
    }

    // MARK: Writing it whole

    /// Entries that make this book again, runs in the order in which they ended.
    func entries() -> [LedgerEntry] {
        var entries: [LedgerEntry] = [.began(began)]
        if hasForgotten { entries.append(.hasForgotten) }
        var packed: [LedgerEntry.PackedRun] = []
        for (key, run) in runs.sorted(by: { $0.value.idleSince < $1.value.idleSince }) {
            let retired = run.retired
            if run.live.isEmpty, run.floor == 0, retired.below > 0, retired.beyond.isEmpty {
                packed.append(.init(run: key, last: retired.below - 1))
            } else {
                Self.flush(&packed, to: &entries)
                entries.append(.run(key, floor: run.floor, retired))
            }
            if packed.count == 1000 { Self.flush(&packed, to: &entries) }
        }
        Self.flush(&packed, to: &entries)
        appendLive(to: &entries)
        return entries
    }

    private static func flush(_ packed: inout [LedgerEntry.PackedRun], to entries: inout [LedgerEntry]) {
        if !packed.isEmpty { entries.append(.packed(packed)) }
        packed = []
    }

    private func appendLive(to entries: inout [LedgerEntry]) {
        for (key, run) in runs {
            for (number, live) in run.live {
                let entry = LedgerEntry.saw(live.name, key, number: number, stamp: live.stamp, isFirst: false)
                // Where two segments had one name the later one has it: it must come last.
                let isNamed = names[live.name] == Place(run: key, number: number)
                if isNamed { continue }
                entries.append(entry)
            }
        }
        for (name, place) in names {
            guard let live = runs[place.run]?.live[place.number] else { continue }
            entries.append(.saw(name, place.run, number: place.number, stamp: live.stamp, isFirst: false))
            if live.isGoing { entries.append(.retiring(name)) }
        }
        for (name, segment) in clear {
            entries.append(.clear(name, stamp: segment.stamp))
            if segment.isGoing { entries.append(.retiring(name)) }
        }
    }
}
