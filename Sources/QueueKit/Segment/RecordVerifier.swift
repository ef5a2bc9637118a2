// Owns: giving out the payload of a record only when it is what was written at this place of this message: by its
// checksum in a plain segment, by its seal in a sealed one. Refuses: going from record to record (SegmentReader,
// MessageContent).

/// Checks, opens and inflates the records of one message, in their order; content may be passed over.
struct RecordVerifier: ~Copyable {
    private let segmentID: [UInt8]
    private let stamp: UInt64
    private let flags: SegmentHeader.Flags
    private let messageOffset: Int64
    private let opener: RecordOpener?
    private var envelopeStream: RecordOpener.Stream?
    private var messageStream: RecordOpener.Stream?
    private var inflater: Inflater?
    private let contentLimit: Int64
    /// Octets of content given so far.
    private(set) var given: Int64 = 0

    /// - Parameter contentLimit: octets of content; what gives more is not what was written.
    init(
        _ segment: SegmentHeader, _ secret: SegmentSecret?, messageOffset: Int64, contentLimit: Int64 = .max
    ) {
        self.contentLimit = contentLimit
        (segmentID, stamp, flags, self.messageOffset) = (segment.id, segment.stamp, segment.flags, messageOffset)
        opener = secret.map(RecordOpener.init)
        envelopeStream = nil
        messageStream = nil
        inflater = nil
    }

    /// The record's header, if it may be the one with this order of this message.
    func header(_ bytes: UnsafeRawBufferPointer, order: UInt32) -> RecordHeader? {
        guard let header = RecordHeader(bytes), header.stamp == stamp, header.order == order,
            header.messageOffset == messageOffset, header.hasSaneLength,
            header.flags.contains(.sealed) == flags.contains(.sealed),
            flags.contains(.compressed) || !header.flags.contains(.compressed)
        else { return nil }
        return header
    }

    /// The payload as it was before compressing and sealing; nil when it is not what was written.
    ///
    /// - Parameter whole: the record, header and all.
    /// - Throws: QueueError `.system` when a library failed, which says nothing of the record.
    mutating func payload(_ header: RecordHeader, _ whole: UnsafeRawBufferPointer) throws(QueueError) -> [UInt8]? {
        let (start, stored) = whole.split(at: RecordHeader.length)
        guard let opened = try open(header, start, stored) else { return nil }
        guard header.kind == .content else { return opened }
        let content = header.flags.contains(.compressed) ? try inflate(opened) : opened
        given += Int64(content?.count ?? 0)
        return given <= contentLimit ? content : nil
    }

    private mutating func open(
        _ header: RecordHeader, _ start: UnsafeRawBufferPointer, _ stored: UnsafeRawBufferPointer
    ) throws(QueueError) -> [UInt8]? {
        guard let opener else {
            let sum = RecordHeader.checksum(segmentID: segmentID, header: start, payload: stored)
            return sum == header.tag && RecordHeader.isPlain(start) ? Array(stored) : nil
        }
        return try Self.authentic { () throws(SealError) in
            var out = [UInt8](repeating: 0, count: stored.count)
            try out.lendingMutable { (out) throws(SealError) in
                if header.kind == .envelope {
                    if envelopeStream == nil { envelopeStream = opener.begin(.envelope) }
                    try envelopeStream?.open(header: start, stored, into: out)
                } else {
                    if messageStream == nil { messageStream = opener.begin(.message) }
                    try messageStream?.open(header: start, stored, into: out)
                }
            }
            return out
        }
    }

    private mutating func inflate(_ piece: [UInt8]) throws(QueueError) -> [UInt8]? {
        try Self.authentic { () throws(SealError) in
            if inflater == nil { inflater = try Inflater(length: contentLimit) }
            return try piece.lending { (piece) throws(SealError) in try inflater?.next(piece) ?? [] }
        }
    }

    private static func authentic(_ body: () throws(SealError) -> [UInt8]) throws(QueueError) -> [UInt8]? {
        do throws(SealError) {
            return try body()
        } catch {
            guard error.kind == .library else { return nil }
            throw QueueError(error, "read a message")
        }
    }
}
