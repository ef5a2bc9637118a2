// Owns: IP addresses and networks as numbers. Refuses: names, ports, resolving.

import Glibc

/// An IPv4 or IPv6 address. IPv4 addresses mapped into IPv6 (`::ffff:192.0.2.1`) are kept as the IPv4 they mean, so that
/// a rule for one form holds for the other.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// Network order; an IPv4 address stands in the upper 32 bits of `high`.
    let high: UInt64
    let low: UInt64
    public let isIPv6: Bool

    /// Reads `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, `ipv6:2001:db8::1` (table(5) of OpenSMTPD), `fe80::1%eth0` (the
    /// zone is dropped); nil for anything else.
    public init?(_ text: some StringProtocol) {
        // Most of what is asked about is a name: this costs less than asking the C library.
        guard let first = text.utf8.first, "[:0123456789abcdefABCDEFiI".utf8.contains(first) else { return nil }
        var text = Substring(text)
        // The longest form has 45 characters; zones add an interface's name, at most 16.
        guard text.utf8.count <= 64, !text.utf8.contains(0) else { return nil }
        if text.first == "[" {
            guard text.last == "]" else { return nil }
            text = text.dropFirst().dropLast()
        }
        let isMarked = text.prefix(5).lowercased() == "ipv6:"
        if isMarked { text = text.dropFirst(5) }
        if let zone = text.firstIndex(of: "%"), text.contains(":") { text = text[..<zone] }
        let string = String(text)
        var v4 = in_addr()
        var v6 = in6_addr()
        if !isMarked, inet_pton(AF_INET, string, &v4) == 1 {
            self.init(bytes: withUnsafeBytes(of: v4) { Array($0) })
        } else if inet_pton(AF_INET6, string, &v6) == 1 {
            self.init(bytes: withUnsafeBytes(of: v6) { Array($0) })
        } else {
            return nil
        }
    }

    /// Four or sixteen octets in network order.
    init?(bytes: [UInt8]) {
        let number = { (part: ArraySlice<UInt8>) in part.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
        switch bytes.count {
        case 4: (high, low, isIPv6) = (number(bytes[...]) << 32, 0, false)
        case 16 where bytes.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]:
            (high, low, isIPv6) = (number(bytes[12...]) << 32, 0, false)
        case 16: (high, low, isIPv6) = (number(bytes[..<8]), number(bytes[8...]), true)
        default: return nil
        }
    }

    private init(high: UInt64, low: UInt64, isIPv6: Bool) {
        (self.high, self.low, self.isIPv6) = (high, low, isIPv6)
    }

    /// As inet_ntop(3) writes it.
    public var description: String {
        let octets = [high, low].flatMap { half in
            (0..<8).map { UInt8(truncatingIfNeeded: half >> UInt64(56 - 8 * $0)) }
        }
        guard isIPv6 else { return octets[..<4].map { "\($0)" }.joined(separator: ".") }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(AF_INET6, octets, &text, socklen_t(text.count)) != nil else { return "::" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// 32 or 128.
    var width: Int { isIPv6 ? 128 : 32 }

    /// 127.0.0.0/8 and ::1.
    public var isLoopback: Bool { isIPv6 ? high == 0 && low == 1 : high >> 56 == 127 }

    /// The address with all but its first `length` bits cleared.
    func masked(_ length: Int) -> IPAddress {
        func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(UInt64.max >> UInt64(bits)) }
        return IPAddress(high: high & mask(length), low: low & mask(length - 64), isIPv6: isIPv6)
    }
}

/// An address with a prefix length, `192.0.2.0/24`; a lone address is a network of itself.
public struct Network: Hashable, Sendable, CustomStringConvertible {
    public let base: IPAddress
    public let prefixLength: Int

    /// Reads `ADDRESS`, `ADDRESS/LENGTH` and `[IPV6]/LENGTH`. Bits past the length are ignored.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first), parts.count <= 2 else { return nil }
        var length = address.width
        if parts.count == 2 {
            guard let given = Self.length(parts[1]), given <= length else { return nil }
            length = given
        }
        (base, prefixLength) = (address.masked(length), length)
    }

    /// - Parameter base: its bits past the length must be zero.
    init(base: IPAddress, prefixLength: Int) { (self.base, self.prefixLength) = (base, prefixLength) }

    /// As tables are asked for it: an address alone, or with its prefix length.
    public var description: String { prefixLength == base.width ? "\(base)" : "\(base)/\(prefixLength)" }

    private static func length(_ text: some StringProtocol) -> Int? {
        guard (1...3).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text)
    }

    public func contains(_ address: IPAddress) -> Bool {
        address.isIPv6 == base.isIPv6 && address.masked(prefixLength) == base
    }
}
