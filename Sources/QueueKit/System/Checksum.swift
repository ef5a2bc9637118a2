// Owns: CRC-32 by the processor and zlib, and SHA-256 by OpenSSL, over pieces. Refuses: secrecy; neither keeps anybody out.

import CLinux
import COpenSSL
import CZlib

enum Checksum {
    /// CRC-32 (ISO 3309) of the pieces one after another.
    static func crc32(_ pieces: UnsafeRawBufferPointer...) -> UInt32 {
        var sum: UInt32 = 0
        for piece in pieces where piece.count > 0 {
            let done = pouch_crc32_blocks(&sum, piece.baseAddress, piece.count)
            let rest = UnsafeRawBufferPointer(rebasing: piece[done...])
            guard let start = rest.baseAddress?.assumingMemoryBound(to: UInt8.self), rest.count > 0 else { continue }
            sum = UInt32(truncatingIfNeeded: crc32_z(UInt(sum), start, rest.count))
        }
        return sum
    }

    static func crc32(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { crc32($0) } }

    /// SHA-256 (FIPS 180-4); 32 bytes.
    static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        let done = EVP_Digest(bytes, bytes.count, &digest, &length, EVP_sha256(), nil)
        precondition(done == 1 && length == 32, "libcrypto has no SHA-256")
        return digest
    }
}
