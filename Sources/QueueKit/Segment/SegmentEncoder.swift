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
    private var deflaters: Deflaters?
    private var offset: Int64 = 0
    private var order: UInt32 = 0
    /// The envelope's, then the message's.
    private var stream: RecordSealer.Stream?

    /// - Parameters:
    ///   - secret: of the segment, when its header says that it is sealed.
    ///   - header: complete.
    init(_ header: SegmentHeader, _ secret: SegmentSecret?) throws(QueueError) {
        (segmentID, stamp) = (header.id, header.stamp)
        sealer = try QueueError.onSegment("seal a message") { () throws(SealError) in
            try secret.map { (secret) throws(SealError) in try RecordSealer(secret) }
        }
        deflaters = nil
        if header.flags.contains(.compressed) { deflaters = Deflaters() }
    }

    /// Begins a message.
    ///
    /// - Parameters:
    ///   - offset: where its first byte goes; a multiple of 512.
    ///   - length: of its content, where it is known.
    func begin(at offset: Int64, length: Int = .max) throws(QueueError) {
        (self.offset, order) = (offset, 0)
        try sealing { () throws(SealError) in
            try deflaters?.begin(length)
            stream = try sealer?.begin(.envelope)
        }
    }

    func envelope(_ payload: [UInt8], to out: inout [UInt8]) throws(QueueError) {
        try payload.lending { (payload) throws(QueueError) in try append(.envelope, payload, [], &out) }
        guard let sealer else { return }
        try sealing { () throws(SealError) in
            if let ended = stream.take() { sealer.recycle(ended) }
            stream = try sealer.begin(.message)
        }
    }

    /// - Parameter chunk: at most 64 KiB.
    func content(_ chunk: UnsafeRawBufferPointer, to out: inout [UInt8]) throws(QueueError) {
        let smaller = try sealing { () throws(SealError) in try deflaters?.next(chunk) } ?? nil
        guard let smaller else { return try append(.content, chunk, [], &out) }
        try smaller.lending { (smaller) throws(QueueError) in try append(.content, smaller, .compressed, &out) }
    }

    func commit(_ commit: CommitRecord, to out: inout [UInt8]) throws(QueueError) {
        try commit.bytes.lending { (payload) throws(QueueError) in try append(.commit, payload, [], &out) }
        if let ended = stream.take() { sealer?.recycle(ended) }
    }

    /// A whole message, padded to the next block.
    ///
    /// - Parameter durable: the offset known durable now.
    func append(
        envelope payload: [UInt8], content: [UInt8], at offset: Int64, durable: Int64, to out: inout [UInt8]
    ) throws(QueueError) {
        let start = out.count
        try begin(at: offset, length: content.count)
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
                try stream?.append(header: header, payload, to: &out)
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

/// Compresses one message after another, each with what fits its size.
private struct Deflaters: ~Copyable {
    private var small: Deflater?
    private var large: Deflater?
    private var isSmall = false

    init() {
        small = nil
        large = nil
    }

    mutating func begin(_ length: Int) throws(SealError) {
        isSmall = length <= Deflater.smallLimit
        if isSmall {
            if small == nil { small = try Deflater(isSmall: true) }
            small?.reset()
        } else {
            if large == nil { large = try Deflater() }
            large?.reset()
        }
    }

    mutating func next(_ piece: UnsafeRawBufferPointer) throws(SealError) -> [UInt8]? {
        isSmall ? try small?.next(piece) : try large?.next(piece)
    }
}
