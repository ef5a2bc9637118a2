// Owns: the order of a message's records: envelope, content in chunks, commit. Refuses: files and syncs.

/// Appends the records of messages to a buffer that is to be written at a known offset of one segment.
struct MessageEncoder {
    let segmentID: [UInt8]
    let stamp: UInt64

    init(_ header: SegmentHeader) { (segmentID, stamp) = (header.id, header.stamp) }

    /// A whole message, padded to the next block.
    ///
    /// - Parameters:
    ///   - offset: where the message's first byte goes; a multiple of 512.
    ///   - durable: the offset known durable now.
    func append(
        envelope: [UInt8], content: [UInt8], offset: Int64, durable: Int64, to out: inout [UInt8]
    ) {
        let start = out.count
        var order: UInt32 = 0
        append(.envelope, envelope, &order, offset, &out)
        content.withUnsafeBytes { all in
            var done = 0
            while done < all.count {
                let chunk = UnsafeRawBufferPointer(
                    rebasing: all[done..<min(done + RecordHeader.contentLimit, all.count)])
                append(.content, chunk, &order, offset, &out)
                done += chunk.count
            }
        }
        let commit = CommitRecord(contentLength: Int64(content.count), durableOffset: durable)
        append(.commit, commit.bytes, &order, offset, &out)
        let length = out.count - start
        out.append(contentsOf: repeatElement(0, count: Int(Int64(length).alignedToBlock) - length))
    }

    func append(
        _ kind: RecordKind, _ payload: [UInt8], _ order: inout UInt32, _ offset: Int64, _ out: inout [UInt8]
    ) {
        payload.withUnsafeBytes { append(kind, $0, &order, offset, &out) }
    }

    func append(
        _ kind: RecordKind, _ payload: UnsafeRawBufferPointer, _ order: inout UInt32, _ offset: Int64,
        _ out: inout [UInt8]
    ) {
        let header = RecordHeader(
            kind: kind, order: order, payloadLength: payload.count, stamp: stamp, messageOffset: offset)
        header.append(payload: payload, segmentID: segmentID, to: &out)
        order += 1
    }

    /// An upper bound of the bytes that a message takes.
    static func spaceNeeded(envelope: Int, content: Int) -> Int {
        let chunks = (content + RecordHeader.contentLimit - 1) / RecordHeader.contentLimit
        return Int(Int64((chunks + 2) * RecordHeader.length + envelope + content + 16).alignedToBlock)
    }
}
