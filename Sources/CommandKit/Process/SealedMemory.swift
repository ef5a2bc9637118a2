// Owns: bytes handed to a child by a descriptor that nobody can write to, never by arguments or environment. Refuses:
// knowing what the bytes are.

import CLinux
import Glibc
import SystemPackage

/// A sealed memory file (memfd_create(2)); its descriptor is close-on-exec and is closed with this object.
public final class SealedMemory: Sendable {
    public let descriptor: Int32

    /// - Parameter name: for people who look into /proc; no part of any secret.
    public convenience init(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(CommandFailure) {
        try self.init(name, taking: pouch_sealed_memory(name, bytes.baseAddress, bytes.count))
    }

    public convenience init(_ name: String, _ bytes: [UInt8]) throws(CommandFailure) {
        try self.init(
            name, taking: bytes.withUnsafeBytes { pouch_sealed_memory(name, $0.baseAddress, $0.count) })
    }

    private init(_ name: String, taking descriptor: Int32) throws(CommandFailure) {
        guard descriptor >= 0 else {
            throw CommandFailure(.osError, "make a memory file for \(name)", .last, cure: "Linux 3.17 or newer has it.")
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}

extension SealedMemory {
    /// What was handed over by `ProcessLaunch.hand`; the descriptor is closed.
    ///
    /// - Parameter option: the option that named it, for the sentence.
    public static func take(_ descriptor: Int32, option: String, limit: Int) throws(CommandFailure) -> [UInt8] {
        guard descriptor > 2, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            throw CommandFailure(.usage, "cannot use \(option) \(descriptor): it is not an open descriptor above 2.")
        }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= limit else {
            throw CommandFailure(
                .configuration, "cannot use \(option) \(descriptor): it is no file of at most \(limit >> 20) MiB.")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                pread(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done, off_t(done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw CommandFailure(.ioError, "read \(option) \(descriptor)", .last) }
            done += count
        }
        return bytes
    }
}

extension SealedMemory: Hashable {
    public static func == (one: SealedMemory, other: SealedMemory) -> Bool { one === other }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
