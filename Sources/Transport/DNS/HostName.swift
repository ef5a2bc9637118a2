// Owns: the name of an address as DNS has it, and the question for it. Refuses: asking (Resolver).

import Glibc

public enum HostName: Hashable, Sendable {
    /// The address has no name.
    case none
    case name(String)
    /// DNS could not say: why.
    case unknown(String)
}

/// The names under which DNS keeps addresses (RFC 1035 §3.5, RFC 3596 §2.5).
enum ReverseName {
    /// nil for what is no numeric address.
    static func of(_ address: String) -> String? {
        var v4 = in_addr()
        if inet_pton(AF_INET, address, &v4) == 1 {
            return labels(withUnsafeBytes(of: v4) { $0.reversed().map { "\($0)" } }, "in-addr.arpa")
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, address, &v6) == 1 else { return nil }
        let digits = withUnsafeBytes(of: v6) { bytes in
            bytes.reversed().flatMap { [$0 & 15, $0 >> 4] }.map { String($0, radix: 16) }
        }
        return labels(digits, "ip6.arpa")
    }

    private static func labels(_ labels: [String], _ zone: String) -> String {
        labels.joined(separator: ".") + "." + zone
    }
}
