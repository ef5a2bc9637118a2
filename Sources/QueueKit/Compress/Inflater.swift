// Owns: giving back what a Deflater was given, never more than was recorded. Refuses: trusting a byte: what doesn't
// inflate to its recorded length is an error, however small it is.

import CZlib

/// Inflates the records of one message, in order.
package struct Inflater: ~Copyable {
    private let stream: UnsafeMutablePointer<z_stream>
    private let pieceLimit: Int
    /// What is still to come, in octets of content.
    package private(set) var remaining: Int64

    /// - Parameters:
    ///   - length: of the whole content, as its commit record names it.
    ///   - pieceLimit: of what one record may give.
    package init(length: Int64, pieceLimit: Int = RecordHeader.contentLimit) throws(SealError) {
        (remaining, self.pieceLimit) = (length, pieceLimit)
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let done = inflateInit2_(stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard done == Z_OK else {
            stream.deallocate()
            throw SealError(.library, "begin inflating", "zlib says \(done). Check the free memory.")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// The content of the next record.
    ///
    /// - Throws: SealError `.malformed` when it is no deflate stream, gives nothing, or gives more than one record may
    ///   hold or than is left of the recorded length.
    package mutating func next(_ record: UnsafeRawBufferPointer) throws(SealError) -> [UInt8] {
        guard let count = UInt32(exactly: record.count), remaining > 0 else { throw Self.malformed }
        stream.pointee.next_in = UnsafeMutablePointer(mutating: record.bound)
        stream.pointee.avail_in = count
        defer { stream.pointee.next_in = nil }
        let limit = Int(min(Int64(pieceLimit), remaining))
        var done: [Int32] = []
        let out = [UInt8](unsafeUninitializedCapacity: limit) { buffer, used in
            used = inflate(into: buffer, &done)
        }
        // What fits exactly may leave the flush mark unread; a byte more than fits is too much.
        var probe: UInt8 = 0
        let excess = withUnsafeMutableBytes(of: &probe) { inflate(into: $0.assumingMemoryBound(to: UInt8.self), &done) }
        // zlib makes room for its window only now; that it can't says nothing of the record.
        guard !done.contains(Z_MEM_ERROR) else {
            throw SealError(.library, "inflate a record", "zlib got no memory. Check the free memory.")
        }
        guard !out.isEmpty, excess == 0, stream.pointee.avail_in == 0 else { throw Self.malformed }
        remaining -= Int64(out.count)
        return out
    }

    /// Runs zlib until the record or the room ends; the number of bytes written.
    private mutating func inflate(into buffer: UnsafeMutableBufferPointer<UInt8>, _ done: inout [Int32]) -> Int {
        stream.pointee.next_out = buffer.baseAddress
        stream.pointee.avail_out = UInt32(clamping: buffer.count)
        // Of bad input the counts tell as much: an error leaves some unread, and so does an early end.
        done.append(CZlib.inflate(stream, Z_SYNC_FLUSH))
        return buffer.count - Int(stream.pointee.avail_out)
    }

    private static let malformed = SealError(
        .malformed, "inflate a record", "it is not what was compressed. `mail-queue check` tells more.")
}
