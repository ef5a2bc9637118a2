// Owns: bytes handed to a child by a descriptor that nobody can write to, never by arguments or environment. Refuses:
// knowing what the bytes are.

import CLinux
import Glibc
import SystemPackage

/// A sealed memory file (memfd_create(2)); its descriptor is close-on-exec and is closed with this object.
public final class SealedMemory: Sendable {
    public let descriptor: Int32

    /// - Parameter name: for people who look into /proc; no part of any secret.
    public init(_ name: String, _ bytes: UnsafeRawBufferPointer) throws(CommandFailure) {
        descriptor = pouch_sealed_memory(name, bytes.baseAddress, bytes.count)
        guard descriptor >= 0 else {
            throw CommandFailure(.osError, "make a memory file for \(name)", .last, cure: "Linux 3.17 or newer has it.")
        }
    }

    deinit { close(descriptor) }
}

extension SealedMemory: Hashable {
    public static func == (one: SealedMemory, other: SealedMemory) -> Bool { one === other }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
