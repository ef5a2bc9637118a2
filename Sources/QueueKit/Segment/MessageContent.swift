// Owns: giving out the content of one message, checked piece by piece. Refuses: holding it whole.

/// The content of a stored message, in order, in pieces of at most 64 KiB. Used by one reader at a time.
public final class MessageContent {
    /// Octets in all.
    public let length: Int64
    private let file: OpenFile
    private let segment: SegmentHeader
    private let stamp: UInt64
    private let messageOffset: Int64
    private var position: Int64
    private var order: UInt32 = 1
    private var given: Int64 = 0

    init(file: OpenFile, segment: SegmentHeader, messageOffset: Int64, contentOffset: Int64, length: Int64) {
        (self.file, self.segment, self.messageOffset) = (file, segment, messageOffset)
        (self.position, self.length) = (contentOffset, length)
        stamp = segment.stamp
    }

    /// The next piece, or nil at the end.
    ///
    /// - Throws: QueueError `.corrupt` when a record is not what was written; what was given before is then no whole
    ///   message and must not be released (DESIGN §3: no final dot).
    public func next() throws(QueueError) -> [UInt8]? {
        if given == length { return nil }
        let bytes = try file.read(RecordHeader.length + RecordHeader.contentLimit, at: position)
        let found = bytes.withUnsafeBytes { check($0) }
        guard let found, given + Int64(found) <= length, found > 0 else {
            throw QueueError(
                .corrupt, "read the message at \(messageOffset) of \(file.path)",
                explanation: "its content is not what was written.")
        }
        position += Int64(RecordHeader.length + found)
        order += 1
        given += Int64(found)
        return Array(bytes[RecordHeader.length..<RecordHeader.length + found])
    }

    /// The length of the content record at the start of `bytes`, if it is the one expected here.
    private func check(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let header = RecordHeader(bytes), header.kind == .content, header.stamp == stamp,
            header.order == order, header.messageOffset == messageOffset, header.wholeLength <= bytes.count
        else { return nil }
        let payload = UnsafeRawBufferPointer(rebasing: bytes[RecordHeader.length..<header.wholeLength])
        let sum = RecordHeader.checksum(segmentID: segment.id, header: bytes, payload: payload)
        return sum == header.tag ? Int(header.payloadLength) : nil
    }
}
