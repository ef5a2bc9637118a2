import Testing

@testable import QueueKit

struct ChecksumTests {
    /// One bit at a time, as ISO 3309 defines it.
    private static func slow(_ bytes: [UInt8]) -> UInt32 {
        var sum = UInt32.max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
        }
        return ~sum
    }

    @Test func theKnownSum() { #expect(Checksum.crc32(Array("123456789".utf8)) == 0xCBF4_3926) }

    /// Every length around those where the processor's instructions begin and blocks end, at every alignment.
    @Test func anyLengthAnyPlace() {
        let bytes = [UInt8].random(700)
        for length in Array(0...300) + [511, 512, 513, 640] {
            let start = length % 17
            let piece = Array(bytes[start..<start + length])
            let found = bytes.withUnsafeBytes {
                Checksum.crc32(UnsafeRawBufferPointer(rebasing: $0[start..<start + length]))
            }
            #expect(found == Self.slow(piece), "\(length) octets")
        }
    }

    @Test func piecesCountAsOne() {
        let bytes = [UInt8].random(1000)
        for cut in stride(from: 0, through: 1000, by: 61) {
            let found = bytes.withUnsafeBytes { all in
                Checksum.crc32(
                    UnsafeRawBufferPointer(rebasing: all[..<cut]), UnsafeRawBufferPointer(rebasing: all[cut...]))
            }
            #expect(found == Self.slow(bytes))
        }
    }
}
