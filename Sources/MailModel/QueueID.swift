// Owns: the name of a message, unique over hosts and years. Refuses: randomness and clocks of its own; both are
// handed in, so that tests can repeat them.

/// 100 bits: 40 of time (milliseconds since 2020, so that names sort by age until 2054) and 60 random ones; written
/// as 20 characters of lowercase base32hex (RFC 4648 §7: 0-9 and a-v), an alphabet that sorts like its values.
public struct QueueID: Hashable, Sendable {
    /// The 40 bits of time.
    public let time: UInt64
    /// The 60 random bits.
    public let random: UInt64

    public static let length = 20
    static let epochMilliseconds: Int64 = 1_577_836_800_000  // 2020-01-01T00:00:00Z
    static let timeMask: UInt64 = (1 << 40) - 1
    static let randomMask: UInt64 = (1 << 60) - 1

    /// - Parameters:
    ///   - now: the time of arrival; only its low 40 bits of milliseconds since 2020 are kept.
    ///   - random: 60 bits are used; they must come from the system's generator.
    public init(now: Timestamp, random: UInt64) {
        time = UInt64(bitPattern: now.milliseconds &- Self.epochMilliseconds) & Self.timeMask
        self.random = random & Self.randomMask
    }

    /// Reads exactly twenty characters of the alphabet; upper case counts as lower case.
    public init?(_ text: some StringProtocol) {
        guard text.utf8.count == Self.length else { return nil }
        var bits: (time: UInt64, random: UInt64) = (0, 0)
        for (index, byte) in text.utf8.enumerated() {
            guard let value = Self.value(of: byte) else { return nil }
            if index < 8 { bits.time = bits.time << 5 | value } else { bits.random = bits.random << 5 | value }
        }
        (time, random) = bits
    }

    /// The thirteen bytes of the spool: five of time, eight of randomness, both big-endian.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 13 else { return nil }
        let time = bytes.prefix(5).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let random = bytes.dropFirst(5).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard random <= Self.randomMask else { return nil }
        (self.time, self.random) = (time, random)
    }

    public var bytes: [UInt8] {
        (0..<5).map { UInt8(truncatingIfNeeded: time >> UInt64(32 - 8 * $0)) }
            + (0..<8).map { UInt8(truncatingIfNeeded: random >> UInt64(56 - 8 * $0)) }
    }

    /// Whether `text` (1 to 20 characters, any case) begins this name.
    public func hasPrefix(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && description.hasPrefix(text.lowercased())
    }

    private static func value(of byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "v"): UInt64(byte - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "V"): UInt64(byte - UInt8(ascii: "A")) + 10
        default: nil
        }
    }
}

extension QueueID: CustomStringConvertible {
    public var description: String {
        String(unsafeUninitializedCapacity: Self.length) { buffer in
            for index in 0..<Self.length {
                let value = index < 8 ? time >> UInt64(35 - 5 * index) : random >> UInt64(55 - 5 * (index - 8))
                let digit = UInt8(value & 31)
                buffer[index] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            }
            return Self.length
        }
    }
}

extension QueueID: Comparable {
    public static func < (a: QueueID, b: QueueID) -> Bool { (a.time, a.random) < (b.time, b.random) }
}
