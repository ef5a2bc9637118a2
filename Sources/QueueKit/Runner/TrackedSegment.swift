// Owns: what the runner knows of one segment: how far it was read, how many of its messages are left, its journal.
// Refuses: the messages themselves.

import MailModel

/// A segment under the runner's eyes. Used by the runner's thread.
final class TrackedSegment {
    let name: SegmentName
    let store: any SegmentStore
    /// While its writer lives; nil once it is closed.
    var live: SegmentReader?
    let stamp: UInt64
    /// Of a sealed segment: found once, since every attempt needs it.
    let secret: SegmentSecret?
    /// What it is sealed for; nil for a plain one.
    let keyID: KeyID?
    var scannedTo = SegmentHeader.firstRecord
    /// Of messages that are not final; of all that were known when it was read.
    var remaining = 0
    var known = 0
    /// A message alone in its file.
    let isSingle: Bool
    var inFlight = 0
    var journal: JournalWriter?
    /// Its journal's last write or sync failed: the state goes to a new journal before any attempt.
    var journalFailed = false
    var hasIndex = false
    /// Frames not known durable: what a new journal must hold when a sync fails.
    var unsynced: [(frame: UInt64, entries: [JournalEntry])] = []
    /// Room promised for results of messages under way, by their offset.
    var promises: [Int64: Int64] = [:]
    /// What its journal says can't be read back: its messages stay where they are.
    var isPinned = false
    /// When what failed with it (its journal, freeing it, moving damage aside) is tried again.
    var retry = Backoff()
    /// Found, and not yet in quarantine: the segment is not closed before.
    var damage: [Damage] = []
    /// The file ends before what its writer had made durable.
    var isShort = false
    /// What the journal said of messages that were not scanned yet.
    var replayed: [Int64: [JournalEntry]] = [:]
    var index: [IndexRow] = []
    /// What moved messages brought along, by their offset, until the index is written.
    var carried: [Int64: [JournalEntry]] = [:]
    /// Of messages with more to remember than a row: several recipients, expansions.
    var states: [Int64: MessageState] = [:]

    init(_ name: SegmentName, store: any SegmentStore, _ reader: SegmentReader) {
        (self.name, self.store, stamp, secret) = (name, store, reader.header.stamp, reader.secret)
        isSingle = reader.header.flags.contains(.single)
        keyID = reader.header.sealedFor
    }

    var isClosed: Bool { live == nil }
}
