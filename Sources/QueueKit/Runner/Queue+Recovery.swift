// Owns: what a start makes of the spool it finds: journals read, segments without an index scanned, what a crash left
// over removed. Refuses: stopping at one bad file: it is reported, the rest is mail all the same.

import Glibc
import MailModel
import SystemPackage

extension Queue {
    /// More drops than these are not looked at before the runner starts; leftovers among the rest are found later.
    static let dropsAtStart = 10_000

    func recover() throws(QueueError) {
        let names = try queueDirectory.names()
        removeUnfinished()
        for store in stores { attempt { () throws(QueueError) in try discover(store) } }
        removeAsked()
        // Retired segments go before their journals: a journal alone is the rest of that.
        for name in names.compactMap(SegmentName.init(journal:)) where segments[name] == nil && retiring[name] == nil {
            attempt { () throws(QueueError) in
                // The journal of a segment that somebody took away says what was delivered, should it come back.
                if try !hasSegment(name), ledger?.expects(name) != true { try queueDirectory.unlink(name.journal) }
            }
        }
        findLeftoverDrops()
    }

    /// Files that never got their name, and new journals that never replaced the old one. A listener may be at work:
    /// what it holds is left alone, and what it is about to lock costs it one message that it then refuses for now.
    private func removeUnfinished() {
        for directory in [queueDirectory, incomingDirectory, quarantine.directory] {
            attempt { () throws(QueueError) in
                for name in try directory.names() where isUnfinished(name) {
                    guard let file = try directory.openIfThere(name, flags: O_RDONLY | O_NONBLOCK), try file.tryLock()
                    else { continue }
                    try directory.unlink(name)
                }
            }
        }
    }

    private func isUnfinished(_ name: String) -> Bool {
        name.hasPrefix("tmp.") || name.hasSuffix(".journal\(JournalWriter.temporarySuffix)")
    }

    private func hasSegment(_ name: SegmentName) throws(QueueError) -> Bool {
        for store in stores {
            if try store.exists(name) { return true }
        }
        return false
    }

    // MARK: Segments

    /// Begins to follow the segments that are not known yet. One that can't be read is tried again after a pause.
    func discover(_ store: DirectorySegmentStore) throws(QueueError) {
        for name in try store.list() where segments[name] == nil && retiring[name] == nil {
            guard unreadable[name]?.isDue(clock) ?? true else { continue }
            do throws(QueueError) {
                try track(name, store)
                unreadable[name] = nil
            } catch {
                unreadable[name, default: Backoff()].failed(clock)
                report(.failed(error))
            }
        }
    }

    private func track(_ name: SegmentName, _ store: DirectorySegmentStore) throws(QueueError) {
        guard let file = try openRegular(name, store) else { return }
        let isDead = try file.tryLock()
        let size = try file.size()
        guard size > 0 else {
            if isDead { try store.directory.unlink(name.description) }
            return
        }
        let reader: SegmentReader
        do throws(QueueError) {
            reader = try SegmentReader(file, in: store.place, keys: options.keys)
        } catch {
            guard error.kind == .corrupt, isDead else { throw error }
            return try setAside(name, store, error.explanation?.sentence ?? "\(error)")
        }
        guard reader.header.flags.contains(.single) || size <= Spares.segmentSize * 4 else {
            return try setAside(name, store, "It is larger than a segment of many messages ever is.")
        }
        guard try isKnownToLedger(name, store, reader.header, isDead) else { return }
        let segment = TrackedSegment(name, store: store, reader)
        let replay = try readJournal(segment)
        segments[name] = segment
        if isDead, let index = replay.index {
            segment.hasIndex = true
            for row in index { add(row, segment, replay.states[row.offset]) }
            return retireIfDone(segment)
        }
        (segment.live, segment.replayed) = (reader, replay.states)
        followOrLater(segment, isDead: isDead)
    }

    /// Whether the ledger takes the segment for mail; if not, it was moved aside.
    private func isKnownToLedger(
        _ name: SegmentName, _ store: DirectorySegmentStore, _ header: SegmentHeader, _ isDead: Bool
    ) throws(QueueError) -> Bool {
        guard let ledger else { return true }
        let verdict = ledger.judge(name, header, in: store.place)
        guard let reason = verdict.reason else {
            if ledger.saw(name, header, in: store.place) { housekeeper.markLedger() }
            return true
        }
        // While its writer lives it would go on writing.
        guard isDead, !verdict.mayBeOurs else {
            throw QueueError(.refused, "take \(store.directory.path)/\(name)", explanation: reason)
        }
        try setAside(name.description, store.directory, reason)
        return false
    }

    /// Nil when the name is gone, or stood for something that is no file of mail and was moved aside.
    private func openRegular(_ name: SegmentName, _ store: DirectorySegmentStore) throws(QueueError) -> OpenFile? {
        do throws(QueueError) {
            guard let file = try store.open(name) else { return nil }
            if try file.status().st_mode & S_IFMT == S_IFREG { return file }
        } catch {
            guard [.tooManySymbolicLinkLevels, .noSuchAddressOrDevice].contains(error.cause) else { throw error }
        }
        try setAside(name.description, store.directory, "It is not a regular file.")
        return nil
    }

    private func readJournal(
        _ segment: TrackedSegment
    ) throws(QueueError) -> (index: [IndexRow]?, states: [Int64: [JournalEntry]]) {
        let name = segment.name.journal
        guard let found = try ownJournal(segment) else {
            return (nil, [:])
        }
        guard let contents = found, contents.header.speaks(for: segment.stamp, sealedFor: segment.keyID) else {
            try refuseJournal(name)
            return (nil, [:])
        }
        if contents.isInterrupted { try keepInterrupted(name) }
        segment.journal = try JournalWriter(
            continuing: contents, name: name, in: queueDirectory, try seal(contents.header.keyID))
        segment.journal?.rest()
        var index: [IndexRow]?
        var (states, carried): ([Int64: [JournalEntry]], [Int64: [JournalEntry]]) = ([:], [:])
        for entry in contents.frameEntries.lazy.flatMap(\.entries) {
            if case .index(let rows) = entry { index = rows }
            if case .carried(let message, let first) = entry { carried[message] = first }
            if let message = entry.message { states[message, default: []].append(entry) }
        }
        // Without an index the messages themselves are read, and say what they carry.
        if index != nil { states.merge(carried) { later, first in first + later } }
        return (index, states)
    }

    /// The inner nil: it can't be the segment's. A journal is sealed for the same key as its segment, which was opened.
    private func ownJournal(_ segment: TrackedSegment) throws(QueueError) -> JournalFormat.Contents?? {
        do throws(QueueError) {
            return try JournalWriter.read(segment.name.journal, in: queueDirectory, keys: options.keys)
        } catch {
            guard case .unknownKey = error.kind, segment.keyID != nil else { throw error }
            return .some(nil)
        }
    }

    /// Anybody who can write there can write a plain journal: one of a sealed segment proves nothing.
    private func refuseJournal(_ name: String) throws(QueueError) {
        guard try !JournalWriter.isUnwritten(name, in: queueDirectory) else {
            return try queueDirectory.unlink(name)
        }
        try setAside(
            name, queueDirectory,
            "It is no journal of its segment, or it is not sealed as its segment is: its marks are lost, and its "
                + "messages may be delivered again.")
    }

    /// Before the rest of a journal is cut off that is more than a torn tail, a copy goes to quarantine.
    private func keepInterrupted(_ name: String) throws(QueueError) {
        let reason = "It is damaged in its middle: later marks are lost, and messages may be delivered again."
        let file = try queueDirectory.open(name, flags: O_RDONLY)
        try quarantine.copy(file, as: name, reason: reason)
        report(.quarantined(name: name, reason: reason))
    }

    /// A whole segment, with its journal: who repairs it wants to know what was delivered.
    private func setAside(
        _ name: SegmentName, _ store: DirectorySegmentStore, _ reason: String
    ) throws(QueueError) {
        let isListed = ledger?.expects(name) ?? false
        if isListed {
            ledger?.retiring([name])
            try ledger?.sync()
        }
        try setAside(name.description, store.directory, reason)
        if isListed { try ledger?.retired(name) }
        if try queueDirectory.status(of: name.journal) != nil {
            try setAside(name.journal, queueDirectory, "Its segment is damaged.")
        }
    }

    func setAside(_ name: String, _ directory: Directory, _ reason: String) throws(QueueError) {
        try quarantine.take(name, from: directory, reason: reason)
        report(.quarantined(name: name, reason: reason))
    }
}
