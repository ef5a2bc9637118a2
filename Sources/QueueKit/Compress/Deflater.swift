// Owns: compressing one message, piece by piece, when it pays. Refuses: sealing, knowing what is compressed; envelopes
// are never given to it.
//
// Raw deflate (RFC 1951): the record's tag says whether bytes are right, a second checksum would be for nothing. Each
// piece ends on a byte (a sync flush), so each record inflates on its own place in the stream; the end of the stream is
// the length that the commit record names.

import CZlib

/// Compresses the pieces of one message after another.
///
///     var deflater = try Deflater()
///     if let smaller = try deflater.next(piece) { /* a compressed record */ } else { /* this message stays as it is */ }
package struct Deflater: ~Copyable {
    /// The fastest: mail is mostly text and base64, and the disk waits for us.
    package static let usualLevel: Int32 = 1
    /// What the first piece must save, in percent, for the message to be compressed.
    static let savingMinimum = 5
    /// What is not larger than this is compressed with tables of that size: clearing them is most of the work.
    package static let smallLimit = 16 << 10
    private static let small: (windowBits: Int32, memoryLevel: Int32) = (13, 6)
    private static let large: (windowBits: Int32, memoryLevel: Int32) = (MAX_WBITS, 8)

    private enum Verdict {
        case undecided, compressing, stored
    }

    private let stream: UnsafeMutablePointer<z_stream>
    private var verdict = Verdict.undecided

    /// - Parameter isSmall: for messages of at most `smallLimit` octets; larger ones would only compress worse.
    package init(level: Int32 = usualLevel, isSmall: Bool = false) throws(SealError) {
        let size = isSmall ? Self.small : Self.large
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let done = deflateInit2_(
            stream, level, Z_DEFLATED, -size.windowBits, size.memoryLevel, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        guard done == Z_OK else {
            stream.deallocate()
            throw SealError(.library, "begin compressing", "zlib says \(done). Check the free memory.")
        }
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Begins another message.
    package mutating func reset() {
        deflateReset(stream)
        verdict = .undecided
    }

    /// Compresses the next piece; nil when the message is to be stored as it is, which the first piece decides.
    ///
    /// - Returns: at most a few bytes more than the piece has; never empty for a piece that is not.
    package mutating func next(_ piece: UnsafeRawBufferPointer) throws(SealError) -> [UInt8]? {
        guard verdict != .stored, !piece.isEmpty else { return nil }
        let out = try compress(piece)
        if verdict == .undecided {
            let pays = out.count * 100 <= piece.count * (100 - Self.savingMinimum)
            verdict = pays ? .compressing : .stored
        }
        return verdict == .compressing ? out : nil
    }

    private mutating func compress(_ piece: UnsafeRawBufferPointer) throws(SealError) -> [UInt8] {
        guard let count = UInt32(exactly: piece.count) else {
            throw SealError(.refused, "compress a piece", "a piece is at most 4 GiB.")
        }
        // The bound is for a whole stream; a sync flush adds its mark and, at worst, a block begun before.
        let capacity = Int(deflateBound(stream, UInt(piece.count))) + 64
        // zlib only reads here; its field says otherwise for the sake of old compilers.
        stream.pointee.next_in = UnsafeMutablePointer(mutating: piece.bound)
        stream.pointee.avail_in = count
        var out: [UInt8] = []
        repeat {
            // A full buffer means that there may be more (zlib.h): what it holds is then taken and it is asked again.
            let more = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, used in
                stream.pointee.next_out = buffer.baseAddress
                stream.pointee.avail_out = UInt32(clamping: buffer.count)
                _ = deflate(stream, Z_SYNC_FLUSH)
                used = buffer.count - Int(stream.pointee.avail_out)
            }
            out = out.isEmpty ? more : out + more
        } while stream.pointee.avail_out == 0
        stream.pointee.next_in = nil
        guard stream.pointee.avail_in == 0 else {
            throw SealError(.library, "compress a piece", "zlib left some of it. Check the installation of zlib.")
        }
        return out
    }
}
