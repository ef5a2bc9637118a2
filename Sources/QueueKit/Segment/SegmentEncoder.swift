// Owns: the records of messages as they go to disk, in their order: envelope, content in chunks, commit; compressed and
// sealed when the segment's header says so. Refuses: files and syncs, choosing offsets.
//
// A message begins with fresh salts at the offset where it will be written. What could not be written there is never
// encoded again for another place with the same streams: a new try begins anew.

/// How a new segment begins: its complete header, and what encodes messages by it.
struct SegmentStart {
    let header: SegmentHeader
    let encoder: SegmentEncoder

    /// - Parameter plain: all that its writer says of the segment, nothing of sealing or compressing.
    init(_ plain: SegmentHeader, _ protection: Protection) throws(QueueError) {
        var header = plain
        if protection.compressing { header.flags.insert(.compressed) }
        let secret = try QueueError.onSegment("begin a sealed segment") { () throws(SealError) in
            try protection.sealer?.seal(&header)
        }
        self.header = header
        encoder = try SegmentEncoder(header, secret)
    }
}

/// Encodes the messages of one segment, one after another. Used by one thread.
final class SegmentEncoder {
    private let segmentID: [UInt8]
    private let stamp: UInt64
    private let sealer: RecordSealer?
    private var deflater: Deflater?
    private var offset: Int64 = 0
    private var order: UInt32 = 0
    private var envelopeStream: RecordSealer.Stream?
    private var messageStream: RecordSealer.Stream?

    /// - Parameters:
    ///   - secret: of the segment, when its header says that it is sealed.
    ///   - header: complete.
    init(_ header: SegmentHeader, _ secret: SegmentSecret?) throws(QueueError) {
        (segmentID, stamp, sealer) = (header.id, header.stamp, secret.map(RecordSealer.init))
        deflater = nil
        if header.flags.contains(.compressed) {
            deflater = try QueueError.onSegment("store a message") { () throws(SealError) in try Deflater() }
        }
    }

    /// Begins a message.
    ///
    /// - Parameter offset: where its first byte goes; a multiple of 512.
    func begin(at offset: Int64) throws(QueueError) {
        (self.offset, order) = (offset, 0)
        deflater?.reset()
        guard let sealer else { return }
        try sealing { () throws(SealError) in
            envelopeStream = try sealer.begin(.envelope)
            messageStream = try sealer.begin(.message)
        }
    }

    func envelope(_ payload: [UInt8], to out: inout [UInt8]) throws(QueueError) {
        try payload.lending { (payload) throws(QueueError) in try append(.envelope, payload, [], &out) }
        envelopeStream = nil
    }

    /// - Parameter chunk: at most 64 KiB.
    func content(_ chunk: UnsafeRawBufferPointer, to out: inout [UInt8]) throws(QueueError) {
        let smaller = try sealing { () throws(SealError) in try deflater?.next(chunk) } ?? nil
        guard let smaller else { return try append(.content, chunk, [], &out) }
        try smaller.lending { (smaller) throws(QueueError) in try append(.content, smaller, .compressed, &out) }
    }

    func commit(_ commit: CommitRecord, to out: inout [UInt8]) throws(QueueError) {
        try commit.bytes.lending { (payload) throws(QueueError) in try append(.commit, payload, [], &out) }
        messageStream = nil
    }

    /// A whole message, padded to the next block.
    ///
    /// - Parameter durable: the offset known durable now.
    func append(
        envelope payload: [UInt8], content: [UInt8], at offset: Int64, durable: Int64, to out: inout [UInt8]
    ) throws(QueueError) {
        let start = out.count
        try begin(at: offset)
        try envelope(payload, to: &out)
        try content.lending { (all) throws(QueueError) in
            for from in stride(from: 0, to: all.count, by: RecordHeader.contentLimit) {
                let end = min(from + RecordHeader.contentLimit, all.count)
                try self.content(UnsafeRawBufferPointer(rebasing: all[from..<end]), to: &out)
            }
        }
        try commit(CommitRecord(contentLength: Int64(content.count), durableOffset: durable), to: &out)
        let length = out.count - start
        out.append(contentsOf: repeatElement(0, count: Int(Int64(length).alignedToBlock) - length))
    }

    private func append(
        _ kind: RecordKind, _ payload: UnsafeRawBufferPointer, _ flags: RecordHeader.Flags, _ out: inout [UInt8]
    ) throws(QueueError) {
        var header = RecordHeader(
            kind: kind, order: order, payloadLength: payload.count, stamp: stamp, messageOffset: offset)
        header.flags = sealer == nil ? flags : flags.union(.sealed)
        order += 1
        guard sealer != nil else { return header.append(payload: payload, segmentID: segmentID, to: &out) }
        try sealing { () throws(SealError) in
            try header.withBytes { (header) throws(SealError) in
                if kind == .envelope {
                    try envelopeStream?.append(header: header, payload, to: &out)
                } else {
                    try messageStream?.append(header: header, payload, to: &out)
                }
            }
        }
    }

    private func sealing<Result>(_ body: () throws(SealError) -> Result) throws(QueueError) -> Result {
        try QueueError.onSegment("seal a message", body)
    }

    /// An upper bound of the bytes that a message takes.
    static func spaceNeeded(envelope: Int, content: Int) -> Int {
        let chunks = (content + RecordHeader.contentLimit - 1) / RecordHeader.contentLimit
        let records = (chunks + 2) * (RecordHeader.length + RecordHeader.compressionGrowth)
        return Int(Int64(records + envelope + content + 16).alignedToBlock)
    }
}
