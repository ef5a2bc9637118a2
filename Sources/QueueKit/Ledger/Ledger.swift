// Owns: the runner's ledger: judged and noted on the runner's thread, written on the housekeeper's. Refuses: moving
// files, deciding when a segment is done with.
//
//   found on the spool:  judge -> (quarantine, or) saw
//   done with:           retiring -> sync -> file renamed or unlinked, its directory synced -> retired -> journal gone
//   damaged:             retiring -> sync -> file moved to quarantine -> retired. (One that was never seen just goes.)
//
// `saw` and `retiring` only remember; `sync` writes all that is remembered as one frame and makes it durable; `retired`
// remembers and syncs. The order makes each crash harmless:
//
//   before `sync`               the segment is there, as before
//   between `sync` and the end  it is there, or gone with a note that it was to go: never missing
//   before the journal goes     should somebody put it back now, its journal still says what was delivered
//
// A failure of `sync` keeps everything in memory; the next one writes the file whole. Segments are not freed meanwhile.

import MailModel

final class Ledger: Sendable {
    fileprivate struct Notes {
        var book: LedgerBook
        /// Not written yet.
        var pending: [LedgerEntry] = []
    }

    let place: LedgerPlace
    private let clock: any TimeSource
    private let notes: Monitor<Notes>
    /// Held for the time of a write; the notes never are.
    private let file: Monitor<LedgerFile>

    private init(_ file: LedgerFile, _ book: LedgerBook, clock: any TimeSource) {
        (place, self.clock) = (file.place, clock)
        notes = Monitor(Notes(book: book))
        self.file = Monitor(file)
    }

    /// Reads the ledger and writes it anew; begins one where there is none, or none that can be used.
    ///
    /// - Returns: the ledger, and what it found on the way: segments that are missing, a lost or damaged ledger.
    /// - Throws: QueueError when it can't be read or written now; `.newerFormat` for one of a newer Pouch.
    static func open(
        _ place: LedgerPlace, in layout: SpoolLayout, keys: KeyRing, clock: any TimeSource = SystemClock(),
        syscalls: any Syscalls = LibC()
    ) throws(QueueError) -> (ledger: Ledger, findings: [LedgerFinding]) {
        var file = try LedgerFile(place, keys, clock: clock, syscalls: syscalls)
        let present = try SegmentsPresent(layout, syscalls: syscalls)
        var findings: [LedgerFinding] = []
        var book: LedgerBook
        switch try LedgerFile.read(place, keys, syscalls: syscalls) {
        case .none:
            let isSealed = present.hasSealed
            if isSealed { findings.append(.lost) }
            book = LedgerBook.begun(clock.now(), present.names, after: nil, isFirst: !isSealed)
        case .unusable(let why):
            findings.append(.damaged(why, keptAs: try file.keepAside()))
            book = LedgerBook.begun(clock.now(), present.names, after: nil, isFirst: false)
        case .read(let reading):
            book = reading.book
            if let damage = reading.damage {
                findings.append(.damaged(damage, keptAs: try file.keepAside()))
                book = LedgerBook.begun(clock.now(), present.names, after: reading.book, isFirst: false)
            }
        }
        book.finishRetirements(present.names)
        findings += book.missing(present.names)
        do throws(QueueError) {
            try file.replace(book.entries())
        } catch {
            // Mail flows on a full disk too; what is known is written as soon as there is room.
            guard [.noSpace, .diskQuotaExceeded].contains(error.cause) else { throw error }
            findings.append(.unwritten("\(error)"))
        }
        return (Ledger(file, book, clock: clock), findings)
    }

    /// Ends the ledger: encryption is switched off. What is written in clear from now on is no intruder later.
    static func remove(_ place: LedgerPlace, syscalls: any Syscalls = LibC()) throws(QueueError) {
        try LedgerFile.remove(place, syscalls: syscalls)
    }

    // MARK: The runner's thread

    /// What a segment is that was found on the spool. For a sealed one `header` must have proved authentic.
    func judge(_ name: SegmentName, _ header: SegmentHeader, in place: SpoolLayout.Place) -> LedgerVerdict {
        let now = clock.now()
        return notes.access { $0.book.judge(name, header, in: place, now: now) }
    }

    /// Takes note of a segment that is mail. Durable after the next `sync`.
    ///
    /// - Returns: whether there is anything to sync.
    @discardableResult
    func saw(_ name: SegmentName, _ header: SegmentHeader, in place: SpoolLayout.Place) -> Bool {
        notes.access { notes in
            guard let entry = notes.book.note(name, header, in: place) else { return false }
            notes.add(entry)
            return true
        }
    }

    /// Whether a segment of this name must be on the spool: without it its journal stays, for the day it comes back.
    func expects(_ name: SegmentName) -> Bool { notes.access { $0.book.expects(name) } }

    // MARK: The housekeeper's thread

    /// Takes note that the files of these segments are about to go. Sync before the first one does.
    func retiring(_ names: some Sequence<SegmentName>) {
        notes.access { notes in
            for name in names where notes.book.isKnown(name) { notes.add(.retiring(name)) }
        }
    }

    /// The file is gone from its place, and that is durable; or it went to quarantine.
    ///
    /// - Throws: QueueError when this can't be made durable now: the journal must stay, and this be said again.
    func retired(_ name: SegmentName) throws(QueueError) {
        notes.access { notes in
            if notes.book.isKnown(name) { notes.add(.retired(name)) }
        }
        try sync()
    }

    /// Writes what is noted, and makes it durable.
    func sync() throws(QueueError) {
        let result = file.access { file in
            Result { () throws(QueueError) in
                guard !file.wantsPacking else {
                    return try file.replace(
                        notes.access { notes in
                            notes.pending = []
                            return notes.book.entries()
                        })
                }
                let pending = notes.access { notes in
                    defer { notes.pending = [] }
                    return notes.pending
                }
                for payload in LedgerFormat.payloads(pending) { try file.append(payload) }
            }
        }
        try result.get()
    }

    // MARK: Orders of an operator

    /// Takes segments in clear that came after the switch for mail.
    func accept(_ findings: some Sequence<LedgerFinding>) throws(QueueError) {
        notes.access { notes in
            for case .refused(let name, _, .clearAfterSwitch) in findings { notes.add(.clear(name, stamp: nil)) }
        }
        try sync()
    }

    /// Takes what is missing, and numbers that never arrived, for lost: they are not told again. A missing segment that
    /// comes back later counts as put back.
    func writeOff(_ findings: some Sequence<LedgerFinding>) throws(QueueError) {
        notes.access { notes in
            for finding in findings {
                switch finding {
                case .missing(_, let run, let number): notes.add(.gone(run, number: number))
                case .missingClear(let name): notes.add(.retired(name))
                case .neverArrived(let run, let numbers):
                    if numbers.upperBound < .max { notes.add(.writtenOff(run, below: numbers.upperBound + 1)) }
                case .refused, .lost, .damaged, .unwritten: continue
                }
            }
        }
        try sync()
    }
}

extension Ledger.Notes {
    mutating func add(_ entry: LedgerEntry) {
        book.apply(entry)
        pending.append(entry)
    }
}

extension LedgerBook {
    func isKnown(_ name: SegmentName) -> Bool { live(name) != nil || clear[name] != nil }

    /// A new ledger: what lies on the spool is mail, sealed or not. Of a damaged one the retired numbers are kept.
    fileprivate static func begun(
        _ now: Timestamp, _ present: Set<SegmentName>, after damaged: LedgerBook?, isFirst: Bool
    ) -> LedgerBook {
        var book = LedgerBook()
        book.apply(.began(now))
        if !isFirst { book.apply(.hasForgotten) }
        for (key, run) in damaged?.runs ?? [:] { book.apply(.run(key, floor: .max, run.retired)) }
        for name in present { book.apply(.clear(name, stamp: nil)) }
        return book
    }

    /// Segments that were to go and are gone: a crash came between that and its note.
    fileprivate mutating func finishRetirements(_ present: Set<SegmentName>) {
        let going =
            runs.values.flatMap { $0.live.values.filter(\.isGoing).map(\.name) }
            + clear.filter(\.value.isGoing).map(\.key)
        for name in going where !present.contains(name) { apply(.retired(name)) }
    }
}
