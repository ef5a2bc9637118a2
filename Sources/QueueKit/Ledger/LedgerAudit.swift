// Owns: what a reader learns from the ledger about the spool, with the runner at work or not. Refuses: writing, waiting.

import MailModel

extension Ledger {
    /// Compares the ledger with the spool.
    ///
    /// The runner may be at work: it notes that a segment goes before it does, so a list of the spool that is older than
    /// the ledger shows nothing missing that is not. What changes the other way round is not there any more in a second
    /// look; only what both looks find is told.
    ///
    /// - Throws: QueueError when the ledger or the spool's folders can't be read.
    static func audit(
        _ place: LedgerPlace, in layout: SpoolLayout, keys: KeyRing, clock: any TimeSource = SystemClock(),
        syscalls: any Syscalls = LibC()
    ) throws(QueueError) -> [LedgerFinding] {
        let first = try look(place, layout, keys, clock, syscalls)
        guard !first.isEmpty else { return [] }
        let second = Set(try look(place, layout, keys, clock, syscalls))
        return first.filter(second.contains)
    }

    private static func look(
        _ place: LedgerPlace, _ layout: SpoolLayout, _ keys: KeyRing, _ clock: any TimeSource, _ syscalls: any Syscalls
    ) throws(QueueError) -> [LedgerFinding] {
        let present = try SegmentsPresent(layout, syscalls: syscalls)
        switch try LedgerFile.read(place, keys, syscalls: syscalls) {
        case .none: return present.hasSealed ? [.lost] : []
        case .unusable(let why): return [.damaged(why, keptAs: nil)]
        case .read(let reading):
            if let damage = reading.damage { return [.damaged(damage, keptAs: nil)] }
            return findings(reading.book, present, clock.now())
        }
    }

    private static func findings(
        _ book: LedgerBook, _ present: SegmentsPresent, _ now: Timestamp
    ) -> [LedgerFinding] {
        var book = book
        var refused: [LedgerFinding] = []
        var known = present.names
        for segment in present.segments {
            // One that can't be read is told by whoever reads it for its mail.
            guard let header = (try? SegmentsPresent.header(segment)) ?? nil else { continue }
            let verdict = book.judge(segment.name, header, in: segment.place, now: now)
            if verdict.reason != nil {
                refused.append(.refused(segment.name, segment.place, verdict))
                // It stands where another one was: that one is missing.
                known.remove(segment.name)
            } else if let entry = book.note(segment.name, header, in: segment.place) {
                // The runner has not read it yet: its number is no hole.
                book.apply(entry)
            }
        }
        return book.missing(known) + refused + book.neverArrived()
    }
}
