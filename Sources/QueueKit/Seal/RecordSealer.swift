// Owns: sealing the records of one segment, and nonces that never repeat. Refuses: the fields of a record's header
// (Record), opening (RecordOpener).
//
// Each envelope and each message has a salt of its own, 16 random bytes; its key is HKDF(segment's secret, label, salt),
// with a label for envelopes and another for messages. A message is a stream of chunks: its content records, then its commit
// record, which bears the last mark, so that a stream that was cut never ends well. Nonce: 7 random bytes of the stream,
// 4 bytes chunk number (big-endian), 1 byte last mark. Associated data: the segment's ID, then the header's first 64
// bytes: kind, flags, order, length, stamp, offset of the message, nonce, salt.

/// Where sealing stands in the 80 bytes of a record's header; the other fields are Record's.
enum SealedRecord {
    static let kindOffset = 4
    static let orderOffset = 8
    static let nonceOffset = 36
    static let saltOffset = 48
    static let tagOffset = 64
    static let headerLength = 80
    static let saltLength = 16
    /// The random bytes of a nonce.
    static let prefixLength = 7

    /// What the key of one envelope or one message is derived from. The segment's secret is an output of HKDF itself, so
    /// the extracting step has nothing to add (RFC 5869 §3.3); the salt, of fixed length, stands in the info.
    static func info(_ stream: RecordStream, salt: [UInt8]) -> [UInt8] { stream.label.bytes + salt }

    static func stretched(_ key: Secret, _ segment: SegmentSecret, salt: [UInt8]) throws(SealError) -> Secret {
        guard let iterations = segment.iterations else { return key }
        return try PBKDF2.derive(key, salt: salt, iterations: iterations)
    }

    static func lastBytes(number: UInt32, last: Bool) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) } + [last ? 1 : 0]
    }
}

/// What has a salt of its own.
package enum RecordStream: Sendable {
    /// One record, the envelope's.
    case envelope
    /// Content records and the commit record.
    case message

    var label: KeyDerivation.Label {
        switch self {
        case .envelope: .envelopeRecord
        case .message: .messageRecord
        }
    }

    /// The chunk number of the record with this order in its message; nil when it is not of this stream.
    func number(_ kind: RecordKind, order: UInt32) -> UInt32? {
        switch (self, kind) {
        case (.envelope, .envelope): order == 0 ? 0 : nil
        case (.message, .content), (.message, .commit): order == 0 ? nil : order - 1
        case (.envelope, .content), (.envelope, .commit), (.message, .envelope): nil
        }
    }

    /// Whether a record of this kind ends its stream.
    static func isLast(_ kind: RecordKind) -> Bool {
        switch kind {
        case .envelope, .commit: true
        case .content: false
        }
    }
}

/// Seals the records of one segment. Used by one thread.
///
///     var stream = try sealer.begin(.message)
///     try stream.seal(header: header, payload, into: out)      // order 1, 2, ... and last the commit record
///     sealer.recycle(stream)
package final class RecordSealer {
    private let segment: SegmentSecret
    private let keyed: KeyedHash
    /// Of a stream that ended: the next one needs no new cipher.
    private var spare: CipherContext?
    private var random = RandomSupply()

    package init(_ segment: SegmentSecret) throws(SealError) {
        self.segment = segment
        keyed = try KeyedHash(segment.secret)
        spare = nil
    }

    /// A stream with a new salt, for one try: what is written again is sealed again, from here.
    package func begin(_ stream: RecordStream) throws(SealError) -> Stream {
        let salt = try random.take(SealedRecord.saltLength)
        let prefix = try random.take(SealedRecord.prefixLength)
        let first = try HKDF.expand(keyed, info: SealedRecord.info(stream, salt: salt))
        let key = try SealedRecord.stretched(first, segment, salt: salt)
        guard var cipher = spare.take() else {
            return Stream(segment, stream, salt, prefix, try CipherContext(.sealing, key: key))
        }
        try cipher.use(key)
        return Stream(segment, stream, salt, prefix, cipher)
    }

    /// Takes what a stream that ended leaves for the next.
    package func recycle(_ stream: consuming Stream) { spare = stream.end() }

    /// One envelope or one message being sealed. Its numbers only go up, and nothing follows the last chunk.
    package struct Stream: ~Copyable {
        private let stream: RecordStream
        private let salt: [UInt8]
        /// The random part of the nonce, then the five bytes of each chunk.
        private var nonce: [UInt8]
        private var cipher: CipherContext
        /// The segment's ID, then room for the covered part of a header.
        private var associated: [UInt8]
        private var next: UInt32 = 0
        private var ended = false

        fileprivate init(
            _ segment: SegmentSecret, _ stream: RecordStream, _ salt: [UInt8], _ prefix: [UInt8],
            _ cipher: consuming CipherContext
        ) {
            (self.stream, self.salt) = (stream, salt)
            self.cipher = cipher
            nonce = prefix + [0, 0, 0, 0, 0]
            associated = segment.segmentID + [UInt8](repeating: 0, count: SealedRecord.tagOffset)
        }

        fileprivate consuming func end() -> CipherContext { cipher }

        /// Seals one record: writes its nonce, salt and tag into `header`, its payload into `out`.
        ///
        /// - Parameters:
        ///   - header: the record's 80 bytes, their other fields in place.
        ///   - payload: as long as the header says.
        ///   - out: as long as `payload`; may be the same memory.
        /// - Throws: SealError `.refused` for a record out of its order.
        package mutating func seal(
            header: UnsafeMutableRawBufferPointer, _ payload: UnsafeRawBufferPointer,
            into out: UnsafeMutableRawBufferPointer
        ) throws(SealError) {
            let order = UInt32(
                littleEndian: header.loadUnaligned(fromByteOffset: SealedRecord.orderOffset, as: UInt32.self))
            guard header.count == SealedRecord.headerLength, !ended, next < .max,
                let kind = RecordKind(rawValue: header[SealedRecord.kindOffset]),
                stream.number(kind, order: order) == next
            else {
                throw SealError(.refused, "seal a record", "it is not the next of its message.")
            }
            let last = RecordStream.isLast(kind)
            nonce.replaceSubrange(SealedRecord.prefixLength..., with: SealedRecord.lastBytes(number: next, last: last))
            // Counted before the cipher runs: a nonce is used up even when sealing fails.
            next += 1
            ended = last
            let (covered, tag) = header.split(at: SealedRecord.tagOffset)
            covered.split(at: SealedRecord.nonceOffset).1.copyBytes(from: nonce)
            covered.split(at: SealedRecord.saltOffset).1.copyBytes(from: salt)
            let idLength = associated.count - covered.count
            associated.lendingMutable { $0.split(at: idLength).1.copyMemory(from: UnsafeRawBufferPointer(covered)) }
            try nonce.lending { (nonce) throws(SealError) in
                try cipher.seal(payload, nonce: nonce, associated: associated, into: out, tag: tag)
            }
        }

        /// Appends a whole record to `out`, sealed in place.
        package mutating func append(
            header: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, to out: inout [UInt8]
        ) throws(SealError) {
            let start = out.count
            out.append(contentsOf: header)
            out.append(contentsOf: payload)
            try out.lendingMutable { (out) throws(SealError) in
                let record = UnsafeMutableRawBufferPointer(rebasing: out[start...])
                let (header, body) = record.split(at: SealedRecord.headerLength)
                try seal(header: header, UnsafeRawBufferPointer(body), into: body)
            }
        }
    }
}

/// Random bytes that may be seen (salts, nonces), fetched many at a time: asking costs more than making.
private struct RandomSupply {
    private var bytes: [UInt8] = []
    private var used = 0
    private static let size = 4096

    mutating func take(_ count: Int) throws(SealError) -> [UInt8] {
        if used + count > bytes.count { (bytes, used) = (try RandomBytes.make(Self.size), 0) }
        defer { used += count }
        return Array(bytes[used..<used + count])
    }
}
