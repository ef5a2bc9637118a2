// Owns: judging a segment that is found on the spool, and what is wrong with the spool as a whole. Refuses: doing
// anything about it.

import MailModel

/// What the ledger says of a segment found on the spool.
enum LedgerVerdict: Hashable, Sendable {
    /// Never seen before.
    case fresh
    /// Seen, and not retired.
    case known
    /// It was retired and lies there again.
    case putBack
    /// A segment that is on the spool under another name: a copy of it, or another one with its number.
    case twin(of: SegmentName)
    /// Not sealed, although all writers seal.
    case clearAfterSwitch

    /// Why it is no mail; nil when it is.
    var reason: String? {
        switch self {
        case .fresh, .known: nil
        case .putBack: "It was put back: the ledger knows it as done with and freed. Its messages are not sent again."
        case .twin(let name): "It is a copy of \(name), or has its number: the ledger knows only that one."
        case .clearAfterSwitch:
            "It is not sealed, and came after encryption was switched on: no writer with this configuration made it. "
                + "If a listener still ran with the old one, start that again, and have mail-queue check --fix "
                + "--accept-clear take the file for mail."
        }
    }

    /// Whether a writer of ours may have made it: then it waits for a person instead of going to quarantine.
    var mayBeOurs: Bool { self == .clearAfterSwitch }
}

extension LedgerBook {
    /// Writers may go on with the old configuration for this long.
    static let switchMilliseconds: Int64 = 3_600_000

    func judge(
        _ name: SegmentName, _ header: SegmentHeader, in place: SpoolLayout.Place, now: Timestamp
    ) -> LedgerVerdict {
        guard header.flags.contains(.sealed) else {
            if let listed = clear[name], listed.stamp ?? header.stamp == header.stamp { return .known }
            return isSwitching(now) ? .fresh : .clearAfterSwitch
        }
        guard let run = runs[WriterRun(place, header.run)] else { return .fresh }
        if let live = run.live[header.number] {
            return live.name == name && live.stamp == header.stamp ? .known : .twin(of: live.name)
        }
        return run.retired.contains(header.number) ? .putBack : .fresh
    }

    private func isSwitching(_ time: Timestamp) -> Bool {
        let (age, overflow) = time.milliseconds.subtractingReportingOverflow(began.milliseconds)
        return !overflow && age < Self.switchMilliseconds
    }

    /// What notes a segment that was judged to be mail; nil when that is noted already.
    func note(_ name: SegmentName, _ header: SegmentHeader, in place: SpoolLayout.Place) -> LedgerEntry? {
        guard header.flags.contains(.sealed) else {
            return clear[name]?.stamp == header.stamp ? nil : .clear(name, stamp: header.stamp)
        }
        if let live = live(name), live.stamp == header.stamp, !live.isGoing { return nil }
        // A run that began before the ledger, or was forgotten, had numbers that nobody can answer for.
        let isFirst = hasForgotten || isSwitching(header.created)
        return .saw(
            name, WriterRun(place, header.run), number: header.number, stamp: header.stamp, isFirst: isFirst)
    }

    /// Segments that must be there and are not.
    func missing(_ present: Set<SegmentName>) -> [LedgerFinding] {
        var found: [LedgerFinding] = []
        for (key, run) in runs {
            for (number, live) in run.live
            where !live.isGoing && (!present.contains(live.name) || self.live(live.name) != live) {
                found.append(.missing(live.name, key, number: number))
            }
        }
        for (name, segment) in clear where segment.stamp != nil && !segment.isGoing && !present.contains(name) {
            found.append(.missingClear(name))
        }
        return found
    }

    /// Numbers that no segment came with.
    func neverArrived() -> [LedgerFinding] {
        runs.flatMap { key, run in run.holes.map { .neverArrived(key, $0) } }
    }
}

/// What the ledger knows to be wrong.
enum LedgerFinding: Hashable, Sendable {
    /// Seen, never retired, and not there.
    case missing(SegmentName, WriterRun, number: UInt64)
    case missingClear(SegmentName)
    /// There, and no mail: the verdict says why.
    case refused(SegmentName, SpoolLayout.Place, LedgerVerdict)
    /// Numbers below others of their run that were never seen.
    case neverArrived(WriterRun, ClosedRange<UInt64>)
    /// There is no ledger, though the queue was sealed before.
    case lost
    /// Why it could not be written at the start.
    case unwritten(String)
    /// Why the ledger can't be used, and where it was moved, if it was.
    case damaged(String, keptAs: String?)

    var isClear: Bool { if case .refused(_, _, .clearAfterSwitch) = self { true } else { false } }

    /// Whether it can be taken for lost.
    var isLoss: Bool {
        switch self {
        case .missing, .missingClear, .neverArrived: true
        case .refused, .lost, .damaged, .unwritten: false
        }
    }

    private static let taken = "somebody took it away with the mail in it. Restore it from a backup."

    /// One sentence or two, for the log and for `check`; `path` is the ledger's.
    func sentence(_ path: String) -> String {
        switch self {
        case .missing(let name, let run, _):
            return "\(name) is missing in \(run.folder.rawValue)/: \(Self.taken)"
        case .missingClear(let name): return "\(name) is missing: \(Self.taken)"
        case .refused(let name, let place, let verdict):
            return "\(name) in \(place.rawValue)/ is not taken for mail. \(verdict.reason ?? "")"
        case .neverArrived(let run, let numbers):
            let what =
                numbers.count == 1
                ? "number \(numbers.lowerBound)" : "numbers \(numbers.lowerBound) to \(numbers.upperBound)"
            return "\(what) of the run \(run.text) in \(run.folder.rawValue)/ never arrived: "
                + "its writer failed to make the segment, or somebody took it away before it was read."
        case .lost:
            return "there is no ledger \(path), though the queue was sealed before: what was put back or taken away "
                + "meanwhile is not known."
        case .unwritten(let why):
            return "\(why) No segment is freed until the ledger can be written."
        case .damaged(let why, let kept):
            return "the ledger \(path) can't be used: \(why)" + (kept.map { " It is kept as \($0)." } ?? "")
        }
    }
}
