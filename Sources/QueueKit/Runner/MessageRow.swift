// Owns: what the runner keeps in memory of each message. Refuses: envelopes; those are read when a message is due.

import MailModel

/// A message the runner knows, in a few words.
struct MessageRow: Sendable {
    var segment: SegmentName
    var offset: Int64
    var arrival: Timestamp
    /// When it may be tried, by the monotonic clock, in milliseconds.
    var due: Int64
    var recipientCount: UInt32
    var attempts: UInt16 = 0
    /// Of two copies the one with the higher generation counts.
    var generation: UInt32 = 0
    /// Delay DSNs sent so far.
    var warnings: UInt8 = 0
    var isHeld = false
    /// An attempt is under way: nobody else may change the message.
    var inFlight = false
    /// An operator wants it removed as soon as the attempt is over.
    var removalAsked = false
}

/// One message's place in the order of attempts; stale when the row says otherwise.
struct DueEntry: Comparable, Sendable {
    var due: Int64
    var id: QueueID

    static func < (a: DueEntry, b: DueEntry) -> Bool { (a.due, a.id) < (b.due, b.id) }
}
