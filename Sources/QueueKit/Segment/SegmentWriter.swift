// Owns: appending to one segment, syncing it, publishing how far it is committed, closing it. Refuses: choosing when
// (GroupCommit), names (SegmentStore). Never reopens a file to append.
//
// Order of operations: write records; fdatasync; publish the committed offset. The instant of commit is the return of
// fdatasync. A crash before it leaves a torn tail that no reader takes for mail; a crash after it leaves the messages.

import MailModel

/// One segment being written. Used by one thread. The lock goes with the last reference.
final class SegmentWriter {
    let name: SegmentName
    let header: SegmentHeader
    let encoder: SegmentEncoder
    private let file: OpenFile
    /// Whether the blocks up to the segment size were written before.
    private let prepared: Bool
    /// Where the next message goes.
    private(set) var end = SegmentHeader.firstRecord
    /// What is below survives a power cut.
    private(set) var durable = SegmentHeader.firstRecord
    /// False when readers can't know how far it is durable: only closing it shows them.
    private(set) var isPublished = true

    /// Takes over a file that is locked and named and whose header is durable.
    init(_ file: OpenFile, name: SegmentName, _ start: SegmentStart, prepared: Bool) {
        (self.file, self.name, self.prepared) = (file, name, prepared)
        (header, encoder) = (start.header, start.encoder)
    }

    /// How many bytes still fit before the segment has its full size.
    var room: Int64 { Spares.segmentSize - end }

    /// Writes records that were encoded for `end`; their length is a multiple of 512.
    func append(_ records: [UInt8]) throws(QueueError) {
        try file.write(records, at: end)
        end += Int64(records.count)
    }

    /// After a failure the segment must not be synced again: the pages are gone (DESIGN §3).
    func commit() throws(QueueError) {
        try file.syncData()
        durable = end
        // Not synced: a hint for readers. A failure here is none of the message's: it is durable.
        do throws(QueueError) {
            try file.write(SegmentHeader.hint(durable), at: Int64(SegmentHeader.hintOffset))
        } catch {
            isPublished = false
        }
    }

    /// Cuts the file to its length when it is closed early, makes the last committed offset durable, so that damage
    /// of the last messages is told from a torn tail, and lets go of the lock. All it holds was committed before: a
    /// failure is harmless, since recovery finds the end by itself.
    func close() throws(QueueError) {
        if prepared && end < Spares.segmentSize { try file.truncate(to: end) }
        try file.syncData()
        try file.unlock()
    }

    /// Gives the segment up after a failed write or sync: what was never committed is cut off, so that nobody takes
    /// it for mail. Never synced again.
    func abandon() {
        try? file.truncate(to: durable)
        try? file.unlock()
    }
}
