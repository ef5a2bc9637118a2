// Owns: what a sealed segment shows without its key: how many messages stand in it, and how large they are. Refuses:
// vouching for any of it; nothing here was checked by more than its place.

import MailModel

/// The plain header fields of a segment's records, added up.
struct SegmentOutline: Hashable, Sendable {
    var messages = 0
    /// As stored, envelopes included.
    var octets: Int64 = 0

    /// Walks the records between the first one and `limit`.
    init(_ file: OpenFile, _ header: SegmentHeader, limit: Int64) throws(QueueError) {
        let window = FileWindow(file)
        let limit = min(limit, try file.size())
        window.budget = 8 * max(0, limit) + (1 << 20)
        var position = SegmentHeader.firstRecord
        while position < limit, let length = try Self.message(at: position, header, limit, window) {
            messages += 1
            octets += length
            position += length.alignedToBlock
        }
    }

    /// The length of the message at `offset`; nil when none stands there whole.
    private static func message(
        at offset: Int64, _ segment: SegmentHeader, _ limit: Int64, _ window: FileWindow
    ) throws(QueueError) -> Int64? {
        var length: Int64 = 0
        var order: UInt32 = 0
        let stamp = segment.stamp
        while let bytes = try window.bytes(at: offset + length, count: RecordHeader.length, limit: limit),
            let record = RecordHeader(bytes), record.stamp == stamp, record.messageOffset == offset,
            record.order == order, (record.kind == .envelope) == (order == 0)
        {
            length += Int64(record.wholeLength)
            order &+= 1
            if record.kind == .commit { return length }
        }
        return nil
    }
}
