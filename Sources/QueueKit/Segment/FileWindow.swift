// Owns: a piece of a file in memory, moved along as a reader goes. Refuses: writing, meaning.

/// Bytes of a file by offset, read in large pieces. One reader at a time.
final class FileWindow {
    private let file: OpenFile
    private var buffer: UnsafeMutableRawBufferPointer
    private var start: Int64 = 0
    private var count = 0
    /// How many bytes may still be looked at: records that overlap must not make a reader look forever.
    var budget = Int64.max

    init(_ file: OpenFile, size: Int = 256 << 10) {
        self.file = file
        buffer = .allocate(byteCount: size, alignment: 16)
    }

    deinit { buffer.deallocate() }

    /// The bytes at `offset`, valid until the next call; nil when the file (or `limit`) ends before them.
    func bytes(
        at offset: Int64, count wanted: Int, limit: Int64
    ) throws(QueueError) -> UnsafeRawBufferPointer? {
        guard offset >= 0, wanted >= 0, offset <= limit - Int64(wanted), budget >= 0 else { return nil }
        budget -= Int64(wanted)
        if offset < start || offset + Int64(wanted) > start + Int64(count) {
            try fill(at: offset, atLeast: wanted, limit: limit)
        }
        let from = Int(offset - start)
        guard from + wanted <= count else { return nil }
        return UnsafeRawBufferPointer(rebasing: buffer[from..<from + wanted])
    }

    private func fill(at offset: Int64, atLeast wanted: Int, limit: Int64) throws(QueueError) {
        if wanted > buffer.count {
            buffer.deallocate()
            buffer = .allocate(byteCount: wanted, alignment: 16)
        }
        let size = min(buffer.count, Int(limit - offset))
        (start, count) = (offset, 0)
        count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<size]), at: offset)
    }
}
