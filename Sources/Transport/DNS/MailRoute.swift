// Owns: RFC 5321 §5.1: which hosts take mail for a domain, in which order, and why none does. Refuses: asking DNS
// (Resolver); answers go in, hosts come out.

import MailModel
import SMTPProtocol

/// Where mail for a domain goes.
public enum MailRoute: Hashable, Sendable {
    /// At least one, each with at least one address; the best first.
    case hosts([MailHost])
    /// Nowhere: for now, or for good.
    case failed(SessionFailure)
}

/// One mail host with its addresses in the order to try them.
public struct MailHost: Hashable, Sendable {
    /// The host's name, or the address literal it was named by.
    public var name: String
    /// Numeric text.
    public var addresses: [String]

    public init(name: String, addresses: [String]) { (self.name, self.addresses) = (name, addresses) }
}

extension MailRoute {
    /// Bounds on what a hostile zone can make us do.
    static let hostLimit = 20
    static let addressLimit = 20

    static func permanent(_ status: EnhancedStatusCode, _ text: String) -> SessionFailure {
        SessionFailure(result: .permanentFailure, status: status, reply: text)
    }

    static func temporary(_ status: EnhancedStatusCode, _ text: String) -> SessionFailure {
        SessionFailure(result: .temporaryFailure, status: status, reply: text)
    }

    /// A destination that needs no DNS: an address, an address literal (RFC 5321 §4.1.3), `localhost`; else nil.
    static func withoutDNS(_ domain: String, prefersIPv4: Bool) -> MailRoute? {
        let lower = domain.lowercased()
        if lower == "localhost" || lower.hasSuffix(".localhost") {
            return .hosts([
                MailHost(name: domain, addresses: prefersIPv4 ? ["127.0.0.1", "::1"] : ["::1", "127.0.0.1"])
            ])
        }
        if let address = IPAddressText.canonical(domain) {
            return .hosts([MailHost(name: domain, addresses: [address])])
        }
        guard domain.hasPrefix("[") else { return nil }
        var inner = domain.dropFirst().dropLast()
        let isIPv6 = inner.lowercased().hasPrefix("ipv6:")
        if isIPv6 { inner = inner.dropFirst(5) }
        let text = String(inner)
        guard domain.hasSuffix("]"), IPAddressText.family(text) == (isIPv6 ? .v6 : .v4),
            let address = IPAddressText.canonical(text)
        else { return .failed(permanent(EnhancedStatusCode(5, 1, 2), "\(domain) is not an address literal")) }
        return .hosts([MailHost(name: domain, addresses: [address])])
    }

    /// Names of the hosts for `domain` out of the answer to its MX question.
    /// - Parameters:
    ///   - own: names of this host; exchangers no better than one of them are left out, which stops loops.
    ///   - generator: gives hosts of the same preference a random order (RFC 5321 §5.1).
    static func exchangers(
        of domain: String, answer: DNSAnswer, own: Set<String>, generator: inout some RandomNumberGenerator
    ) -> Result<[String], SessionFailure> {
        if let failure = failure(domain, answer) { return .failure(failure) }
        let all = answer.records(of: domain).compactMap(Self.exchanger)
        // RFC 5321 §5.1: no MX record at all is one MX of the domain itself.
        guard !all.isEmpty else { return .success([domain]) }
        if all.count == 1, all[0].host.isEmpty {
            // RFC 7505 §4.1 and §4.2: 556 5.1.10.
            return .failure(permanent(EnhancedStatusCode(5, 1, 10), "\(domain) takes no mail (Null MX)"))
        }
        let ownPreference = all.filter { own.contains($0.host.lowercased()) }.map(\.preference).min()
        let usable = all.filter { Mailbox.isDomain($0.host) && !$0.host.hasPrefix("[") }
            .filter { exchanger in ownPreference.map { exchanger.preference < $0 } ?? true }
        guard !usable.isEmpty else {
            let loop = ownPreference != nil
            return .failure(
                permanent(
                    loop ? EnhancedStatusCode(5, 4, 6) : EnhancedStatusCode(5, 4, 4),
                    loop ? "mail for \(domain) loops back to this host" : "no MX of \(domain) names a mail host"))
        }
        return .success(sorted(usable, generator: &generator))
    }

    private typealias Exchanger = (preference: UInt16, host: String)

    private static func exchanger(_ record: DNSRecord) -> Exchanger? {
        guard case .mx(let preference, let host) = record.value else { return nil }
        return (preference, host)
    }

    private static func sorted(_ all: [Exchanger], generator: inout some RandomNumberGenerator) -> [String] {
        // Swift's sort is stable: the shuffled order stays among equals.
        let order = all.shuffled(using: &generator).sorted { $0.preference < $1.preference }
        var seen: Set<String> = []
        return Array(order.map(\.host).filter { seen.insert($0.lowercased()).inserted }.prefix(hostLimit))
    }

    /// What an answer without use says of the domain; nil when it can be used.
    private static func failure(_ domain: String, _ answer: DNSAnswer) -> SessionFailure? {
        switch answer.outcome {
        case .answered: nil
        case .noSuchName, .badName: permanent(EnhancedStatusCode(5, 1, 2), "\(domain): \(answer.explanation)")
        case .serverFailure, .noAnswer, .malformed, .noResolver:
            temporary(EnhancedStatusCode(4, 4, 3), "\(domain): \(answer.explanation)")
        }
    }

    /// Both answers about one host's addresses.
    struct HostAnswers: Hashable, Sendable {
        var name: String
        var v6: DNSAnswer
        var v4: DNSAnswer
    }

    /// Puts hosts and their addresses together; hosts without any are left out.
    /// - Parameter isImplicit: whether the only host is the domain itself, for want of MX records.
    static func assemble(
        _ domain: String, _ hosts: [HostAnswers], prefersIPv4: Bool, isImplicit: Bool
    ) -> MailRoute {
        let found = hosts.map { MailHost(name: $0.name, addresses: addresses($0, prefersIPv4: prefersIPv4)) }
            .filter { !$0.addresses.isEmpty }
        guard found.isEmpty else { return .hosts(found) }
        if let answer = hosts.flatMap({ [$0.v6, $0.v4] }).first(where: \.isTemporary) {
            return .failed(temporary(EnhancedStatusCode(4, 4, 3), "\(domain): \(answer.explanation)"))
        }
        let text = isImplicit ? "\(domain) has neither MX nor address" : "no mail host of \(domain) has an address"
        return .failed(permanent(isImplicit ? EnhancedStatusCode(5, 1, 2) : EnhancedStatusCode(5, 4, 4), text))
    }

    private static func addresses(_ host: HostAnswers, prefersIPv4: Bool) -> [String] {
        let v6 = host.v6.records(of: host.name).compactMap { record in
            if case .aaaa(let text) = record.value, text != "::" { text } else { nil }
        }
        let v4 = host.v4.records(of: host.name).compactMap { record in
            if case .a(let text) = record.value, text != "0.0.0.0" { text } else { nil }
        }
        // Half of the room for each family, so that many addresses of one can't hide the other.
        let half = addressLimit / 2
        let (first, second) = prefersIPv4 ? (v4, v6) : (v6, v4)
        return Array(first.prefix(max(half, addressLimit - second.count)))
            + Array(second.prefix(max(half, addressLimit - first.count)))
    }
}
