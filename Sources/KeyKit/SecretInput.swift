// Owns: reading a descriptor to its end into wiped memory. Refuses: opening it, what the bytes mean.

import Glibc
import QueueKit
import SystemPackage

enum SecretInput {
    enum Failure: Error, Hashable {
        case tooLong
        case late
        case system(Errno)
    }

    /// Reads until the end of the file or the pipe.
    ///
    /// - Parameters:
    ///   - limit: octets; more are refused.
    ///   - deadline: for a pipe, whose writer may never end; nil waits.
    static func readAll(
        _ descriptor: Int32, limit: Int, deadline: ContinuousClock.Instant? = nil
    ) throws(Failure) -> Secret {
        let whole = try Secret(capacity: limit + 1) { (memory: UnsafeMutableRawBufferPointer) throws(Failure) in
            var count = 0
            while count < memory.count {
                if let deadline { try waitForInput(descriptor, until: deadline) }
                let got = read(descriptor, memory.baseAddress.map { $0 + count }, memory.count - count)
                if got == 0 { break }
                if got < 0 {
                    let cause = Errno(rawValue: errno)
                    guard cause == .interrupted else { throw .system(cause) }
                    continue
                }
                count += got
            }
            return count
        }
        guard whole.count <= limit else { throw .tooLong }
        return whole.prefix(whole.count)
    }

    private static func waitForInput(_ descriptor: Int32, until deadline: ContinuousClock.Instant) throws(Failure) {
        while true {
            let left = (deadline - .now).components
            guard left.seconds >= 0, left.attoseconds >= 0 else { throw .late }
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1
            if poll(&entry, 1, Int32(clamping: milliseconds)) > 0 { return }
        }
    }
}

extension Secret {
    /// The first bytes, in memory no larger than they need.
    func prefix(_ count: Int) -> Secret {
        Secret(capacity: min(count, self.count)) { memory in
            withBytes { memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<memory.count])) }
            return memory.count
        }
    }

    /// Without one line end behind it, which editors and `echo` put there.
    var withoutLineEnd: Secret {
        let end = withBytes { bytes in
            guard bytes.last == UInt8(ascii: "\n") else { return bytes.count }
            return bytes.dropLast().last == UInt8(ascii: "\r") ? bytes.count - 2 : bytes.count - 1
        }
        return end == count ? self : prefix(end)
    }

    /// UTF-8 characters, as near as bytes that may be anything can tell.
    var characterCount: Int { withBytes { bytes in bytes.count { $0 & 0xC0 != 0x80 } } }
}
