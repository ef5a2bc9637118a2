// Owns: numeric addresses as text: telling their family, writing them in one form. Refuses: names; those are DNS's.

import Glibc

enum IPAddressText {
    enum Family: Hashable, Sendable { case v4, v6 }

    /// The family of a numeric address, nil for any other text.
    static func family(_ text: String) -> Family? {
        if parse(AF_INET, text) != nil { return .v4 }
        return parse(AF_INET6, text) != nil ? .v6 : nil
    }

    /// The usual form of a numeric address (`2001:DB8:0::1` as `2001:db8::1`); nil for any other text.
    static func canonical(_ text: String) -> String? {
        for family in [AF_INET, AF_INET6] {
            if let bytes = parse(family, text) { return bytes.withUnsafeBytes { make(family, $0) } }
        }
        return nil
    }

    /// An IPv4 peer on an IPv6 socket (`::ffff:192.0.2.1`) as what it is: `192.0.2.1`.
    static func unmapped(_ text: String) -> String {
        let prefix = "::ffff:"
        guard text.hasPrefix(prefix), family(String(text.dropFirst(prefix.count))) == .v4 else { return text }
        return String(text.dropFirst(prefix.count))
    }

    /// - Parameter bytes: at least 4 for AF_INET, 16 for AF_INET6.
    static func make(_ family: Int32, _ bytes: UnsafeRawBufferPointer) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { text in
            guard bytes.count >= (family == AF_INET ? 4 : 16), let start = text.baseAddress,
                let made = inet_ntop(family, bytes.baseAddress, start, socklen_t(text.count))
            else { return nil }
            return String(cString: made)
        }
    }

    private static func parse(_ family: Int32, _ text: String) -> [UInt8]? {
        guard !text.utf8.contains(0) else { return nil }
        var bytes = [UInt8](repeating: 0, count: family == AF_INET ? 4 : 16)
        return inet_pton(family, text, &bytes) == 1 ? bytes : nil
    }
}
