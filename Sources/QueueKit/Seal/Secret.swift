// Owns: bytes that nobody may find later: keys, seeds, passphrases. Refuses: showing them, and copies in memory that
// is not wiped.
//
// The bytes lie in libcrypto's secure heap: locked in memory when the limit allows it, left out of core dumps, with
// guard pages around it. Ordinary memory serves keys of a single record, and all others when that heap is half full or
// could not be made. Both are wiped when the last reference goes.

import COpenSSL

/// Bytes that are wiped when their last reference goes. They never change; comparing takes the same time whatever
/// they are.
///
///     let key = try Secret(capacity: 32) { buffer in read(fd, buffer.baseAddress, buffer.count) }
public final class Secret: @unchecked Sendable {
    // Sendable by proof: `memory` is written in `init` alone, before anybody else has a reference, and freed in
    // `deinit`, when nobody has one any more.
    private let memory: UnsafeMutableRawBufferPointer
    public let count: Int

    /// Fills `capacity` bytes of wiped memory and keeps the first ones.
    ///
    /// - Parameter fill: writes into the buffer (zeros so far) and returns how many bytes count. What it throws ends
    ///   the making, with the buffer wiped.
    public convenience init<Failure: Error>(
        capacity: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) {
        try self.init(capacity: capacity, passing: false, fill)
    }

    /// - Parameter passing: for a key that is used at once and goes: wiped, but not worth a place in the arena.
    init<Failure: Error>(
        capacity: Int, passing: Bool, _ fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) {
        precondition(capacity >= 0, "a secret has no negative size")
        let memory = SecretMemory.allocate(capacity, passing: passing)
        do throws(Failure) {
            let used = try fill(UnsafeMutableRawBufferPointer(rebasing: memory[..<capacity]))
            count = min(max(0, used), capacity)
        } catch {
            SecretMemory.free(memory)
            throw error
        }
        self.memory = memory
    }

    /// Takes bytes over and overwrites them where they were. Arrays that share storage keep theirs.
    public convenience init(wiping bytes: inout [UInt8]) {
        self.init(capacity: bytes.count) { memory in
            memory.copyBytes(from: bytes)
            return bytes.count
        }
        bytes.withUnsafeMutableBytes { OPENSSL_cleanse($0.baseAddress, $0.count) }
        bytes = []
    }

    /// A copy of bytes that are wiped, or are no secret, where they come from.
    convenience init(copying bytes: UnsafeRawBufferPointer) {
        self.init(capacity: bytes.count) { memory in
            memory.copyMemory(from: bytes)
            return bytes.count
        }
    }

    /// New random bytes, from libcrypto's generator for private values.
    public static func random(_ count: Int) throws(SealError) -> Secret {
        try Secret(capacity: count) { (memory: UnsafeMutableRawBufferPointer) throws(SealError) in
            guard RAND_priv_bytes(memory.bound, Int32(clamping: count)) == 1 else {
                throw .library("make \(count) random bytes")
            }
            return count
        }
    }

    deinit { SecretMemory.free(memory) }

    public var isEmpty: Bool { count == 0 }

    /// Lends the bytes. The pointer must not leave the closure.
    public func withBytes<Result: ~Copyable, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        // The call keeps a reference to `self`, so the memory outlives the closure.
        try body(UnsafeRawBufferPointer(rebasing: memory[..<count]))
    }

    /// Whether both hold the same bytes; the time tells only whether the lengths differ.
    public func matches(_ other: Secret) -> Bool {
        withBytes { a in other.withBytes { b in ConstantTime.equal(a, b) } }
    }
}

enum ConstantTime {
    static func equal(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
        guard a.count == b.count else { return false }
        return a.isEmpty || CRYPTO_memcmp(a.baseAddress, b.baseAddress, a.count) == 0
    }

    static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.withUnsafeBytes { a in b.withUnsafeBytes { b in equal(a, b) } }
    }
}

/// Where secrets lie.
private enum SecretMemory {
    /// Fits the smallest usual limit on locked memory (RLIMIT_MEMLOCK of 64 KiB); room for 2,048 keys.
    static let arenaSize = 64 << 10
    static let smallest = 32

    /// Made once for the process, before the first secret. False: without it.
    static let arena: Bool =
        CRYPTO_secure_malloc_initialized() == 1
        || CRYPTO_secure_malloc_init(arenaSize, smallest) != 0

    static func allocate(_ count: Int, passing: Bool) -> UnsafeMutableRawBufferPointer {
        let size = max(count, 1)
        var start: UnsafeMutableRawPointer?
        // Half of it stays free for the private keys that libcrypto itself puts there.
        if !passing, arena, CRYPTO_secure_used() + size <= arenaSize / 2 {
            start = CRYPTO_secure_zalloc(size, #file, #line)
            if start == nil { SealError.drainErrors() }
        }
        start = start ?? CRYPTO_zalloc(size, #file, #line)
        guard let start else { preconditionFailure("no memory for \(size) bytes") }
        return UnsafeMutableRawBufferPointer(start: start, count: size)
    }

    /// Wipes and frees, whichever memory it was.
    static func free(_ memory: UnsafeMutableRawBufferPointer) {
        CRYPTO_secure_clear_free(memory.baseAddress, memory.count, #file, #line)
    }
}

extension UnsafeMutableRawBufferPointer {
    /// As libcrypto takes it.
    var bound: UnsafeMutablePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}

extension UnsafeRawBufferPointer {
    /// As libcrypto takes it.
    var bound: UnsafePointer<UInt8>? { baseAddress?.assumingMemoryBound(to: UInt8.self) }
}
