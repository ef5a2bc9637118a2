// Owns: one record of a segment, byte by byte. Refuses: what envelopes and commits contain, where in the file it goes.
//
//  0  4  magic "PRec"                     36  12  nonce, zero in a plain segment
//  4  1  kind                             48  16  salt, zero in a plain segment
//  5  1  flags (1: compressed, 2: sealed) 64  16  tag: CRC-32 and zeros, or the AEAD's
//  6  2  zero                             80      payload
//  8  4  order in the message, from 0
// 12  4  length of the payload
// 16  8  stamp of the segment
// 24  8  offset of the message's first record
// 32  4  zero
//
// The tag covers the segment's ID, bytes 0 to 63 and the payload: a record that was moved, reordered or taken from
// another segment fails it. What says zero is zero: nothing stands in a record that nobody checks.

/// What a record holds.
enum RecordKind: UInt8, Sendable {
    case envelope = 1
    case content = 2
    case commit = 3
}

struct RecordHeader: Hashable, Sendable {
    static let length = 80
    static let coveredLength = 64
    static let magic: UInt32 = 0x6365_5250  // "PRec", little-endian
    /// Content of one record before compression and sealing.
    static let contentLimit = 64 << 10
    /// Of any record as stored; an envelope of 1,000 recipients takes about 100 KiB.
    static let payloadLimit = 4 << 20
    /// What deflate may add at worst to a chunk that doesn't get smaller.
    static let compressionGrowth = 128

    struct Flags: OptionSet, Hashable, Sendable {
        let rawValue: UInt8
        /// The payload is a piece of a deflate stream; content alone is.
        static let compressed = Flags(rawValue: 1)
        static let sealed = Flags(rawValue: 2)
        static let known: Flags = [.compressed, .sealed]
    }

    var kind: RecordKind
    var flags: Flags = []
    var order: UInt32
    var payloadLength: UInt32
    var stamp: UInt64
    var messageOffset: Int64
    var tag: UInt32 = 0

    init(kind: RecordKind, order: UInt32, payloadLength: Int, stamp: UInt64, messageOffset: Int64) {
        (self.kind, self.order, self.payloadLength) = (kind, order, UInt32(payloadLength))
        (self.stamp, self.messageOffset) = (stamp, messageOffset)
    }

    /// Reads 80 bytes; nil when they can't begin a record.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.length, bytes.load(UInt32.self, 0) == Self.magic,
            let kind = RecordKind(rawValue: bytes[4]), Flags.known.isSuperset(of: Flags(rawValue: bytes[5])),
            bytes.load(UInt16.self, 6) == 0, bytes.load(UInt32.self, 32) == 0
        else { return nil }
        self.kind = kind
        flags = Flags(rawValue: bytes[5])
        order = bytes.load(UInt32.self, 8)
        payloadLength = bytes.load(UInt32.self, 12)
        stamp = bytes.load(UInt64.self, 16)
        messageOffset = bytes.load(Int64.self, 24)
        tag = bytes.load(UInt32.self, 64)
        guard payloadLength <= Self.payloadLimit else { return nil }
    }

    var wholeLength: Int { Self.length + Int(payloadLength) }

    /// Whether a record of this length may hold what its kind holds.
    var hasSaneLength: Bool {
        guard kind == .content else { return !flags.contains(.compressed) }
        let limit = Self.contentLimit + (flags.contains(.compressed) ? Self.compressionGrowth : 0)
        return (1...limit).contains(Int(payloadLength))
    }

    /// Whether nonce, salt and the unused part of the tag are zero, as in a plain record.
    static func isPlain(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes[36..<64].allSatisfy { $0 == 0 } && bytes[68..<length].allSatisfy { $0 == 0 }
    }

    /// The 80 bytes without their tag.
    private func write(to out: UnsafeMutableRawBufferPointer) {
        out.initializeMemory(as: UInt8.self, repeating: 0)
        out.storeBytes(of: Self.magic.littleEndian, as: UInt32.self)
        out[4] = kind.rawValue
        out[5] = flags.rawValue
        out.storeBytes(of: order.littleEndian, toByteOffset: 8, as: UInt32.self)
        out.storeBytes(of: payloadLength.littleEndian, toByteOffset: 12, as: UInt32.self)
        out.storeBytes(of: stamp.littleEndian, toByteOffset: 16, as: UInt64.self)
        out.storeBytes(of: messageOffset.littleEndian, toByteOffset: 24, as: Int64.self)
    }

    /// The tag of a plain record, over its first 64 bytes as they stand and its payload.
    static func checksum(
        segmentID: [UInt8], header: UnsafeRawBufferPointer, payload: UnsafeRawBufferPointer
    ) -> UInt32 {
        segmentID.withUnsafeBytes { id in
            Checksum.crc32(id, UnsafeRawBufferPointer(rebasing: header.prefix(coveredLength)), payload)
        }
    }

    /// Lends the 80 bytes without their tag.
    func withBytes<Failure: Error>(_ body: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure) {
        var bytes = [UInt8](repeating: 0, count: Self.length)
        bytes.lendingMutable { write(to: $0) }
        try bytes.lending(body)
    }

    /// Appends the whole record to `out`, in clear.
    func append(payload: UnsafeRawBufferPointer, segmentID: [UInt8], to out: inout [UInt8]) {
        withUnsafeTemporaryAllocation(byteCount: Self.length, alignment: 8) { header in
            write(to: header)
            let sum = Self.checksum(segmentID: segmentID, header: UnsafeRawBufferPointer(header), payload: payload)
            header.storeBytes(of: sum.littleEndian, toByteOffset: 64, as: UInt32.self)
            out.append(contentsOf: header)
        }
        out.append(contentsOf: payload)
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func load<T: FixedWidthInteger>(_ type: T.Type, _ offset: Int) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }
}

/// The payload of a commit record: what makes a message whole.
struct CommitRecord: Hashable, Sendable {
    /// Octets of content, before compression.
    var contentLength: Int64
    /// The offset known durable when this record was written: bad records below it are damage, not a torn tail.
    var durableOffset: Int64

    var bytes: [UInt8] {
        var out: [UInt8] = []
        out.appendInteger(contentLength)
        out.appendInteger(durableOffset)
        return out
    }

    init(contentLength: Int64, durableOffset: Int64) {
        (self.contentLength, self.durableOffset) = (contentLength, durableOffset)
    }

    init?(_ bytes: [UInt8]) {
        guard let length: Int64 = bytes.integer(), let durable: Int64 = bytes.integer(at: 8), length >= 0,
            durable >= 0
        else { return nil }
        (contentLength, durableOffset) = (length, durable)
    }
}
