// Owns: the spool's public key and its id, the part that anybody may know. Refuses: secrets.

import MailModel

/// Names a generation of keys: the first eight bytes of the SHA-256 of its public key.
public struct KeyID: Hashable, Sendable, CustomStringConvertible {
    /// As segment headers hold it, little-endian.
    let rawValue: UInt64

    init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Reads sixteen lowercase hexadecimal digits.
    public init?(_ text: some StringProtocol) {
        guard let bytes = [UInt8](hexadecimal: text.utf8, count: 8), let value: UInt64 = bytes.integer() else {
            return nil
        }
        rawValue = value
    }

    var bytes: [UInt8] {
        var out: [UInt8] = []
        out.appendInteger(rawValue)
        return out
    }

    /// Sixteen hexadecimal digits.
    public var description: String { bytes.hex }
}

/// An X25519 public key: whoever has it can seal and cannot open.
public struct PublicKey: Hashable, Sendable, CustomStringConvertible {
    let bytes: [UInt8]
    public let id: KeyID

    /// - Returns: nil unless there are 32 bytes.
    init?(bytes: [UInt8]) {
        guard bytes.count == X25519.length, let id: UInt64 = Checksum.sha256(bytes).integer() else { return nil }
        (self.bytes, self.id) = (bytes, KeyID(rawValue: id))
    }

    /// Reads 64 lowercase hexadecimal digits, the form of submit.conf.
    public init?(_ text: some StringProtocol) {
        guard let bytes = [UInt8](hexadecimal: text.utf8, count: X25519.length) else { return nil }
        self.init(bytes: bytes)
    }

    /// 64 hexadecimal digits.
    public var description: String { bytes.hex }
}

extension [UInt8] {
    /// Reads exactly `count` bytes written as lowercase hexadecimal digits: one text for each value, so that what
    /// reads is what was written.
    init?(hexadecimal digits: some Sequence<UInt8>, count: Int) {
        var values: [UInt8] = []
        for digit in digits {
            guard let value = Self.hexadecimalValue(digit), values.count < count * 2 else { return nil }
            values.append(value)
        }
        guard values.count == count * 2 else { return nil }
        self = (0..<count).map { values[$0 * 2] << 4 | values[$0 * 2 + 1] }
    }

    static func hexadecimalValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
