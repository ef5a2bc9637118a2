// Owns: the octets of a regular file, mapped into memory for reading. Refuses: their meaning.

import Glibc
import SystemPackage

/// The file must be replaced by rename, as `mail-expand build` does: cutting a mapped file ends whoever reads it.
/// Sendable by proof: the octets are never written, and the mapping stays where it is until deinit.
final class MappedFile: @unchecked Sendable {
    let stamp: TextFile.Stamp
    private let base: UnsafeRawPointer?
    let count: Int

    init(_ path: String) throws(UnreadableFile) {
        // Not blocking: a FIFO in the file's place must not hang the program.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw TextFile.failure(Errno(rawValue: errno)) }
        defer { close(descriptor) }
        let (size, stamp) = try TextFile.regular(descriptor)
        self.stamp = stamp
        count = size
        guard count > 0 else {
            base = nil
            return
        }
        let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address, address != MAP_FAILED else { throw TextFile.failure(Errno(rawValue: errno)) }
        base = UnsafeRawPointer(address)
    }

    deinit {
        if let base { munmap(UnsafeMutableRawPointer(mutating: base), count) }
    }

    /// A number of four octets, the lowest first; nil past the end.
    func number(at offset: Int) -> UInt32? {
        guard let base, offset >= 0, offset <= count - 4 else { return nil }
        return UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// Octets of the file; nil when some lie past the end.
    func octets(at offset: Int, count length: Int) -> UnsafeRawBufferPointer? {
        guard offset >= 0, length >= 0, offset <= count, length <= count - offset else { return nil }
        return UnsafeRawBufferPointer(start: base?.advanced(by: offset), count: length)
    }
}
