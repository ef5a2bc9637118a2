// Owns: the next hop as configurations and tables write it. Refuses: resolving, connecting.

/// A value that does not read as what it should be; a sentence says why and what to write.
public struct MalformedValue: Error, Hashable, Sendable {
    public let sentence: String
    public init(_ sentence: String) { self.sentence = sentence }
}

/// `[proto://][label@]host[:port]`.
enum RelayURL {
    static func read(_ text: String) throws(MalformedValue) -> RelayHost {
        let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
        let place = String(parts.count == 2 ? parts[1] : parts.first ?? "")
        let name = parts.count == 2 ? parts[0].lowercased() : "smtp"
        guard let scheme = RelayHost.Scheme(rawValue: name) else { throw wrongScheme(name, place) }
        guard !place.contains("@") else {
            throw MalformedValue(
                "a label before \"@\" (authentication to relays) is not supported by this release of Pouch; write the host "
                    + "alone.")
        }
        guard let (host, port) = split(place) else {
            throw MalformedValue(
                "\"\(text.prefix(60))\" is no relay. Write [smtp://]host[:port], an IPv6 address in brackets.")
        }
        return RelayHost(scheme: scheme, host: host, port: port ?? 25)
    }

    private static func wrongScheme(_ scheme: String, _ place: String) -> MalformedValue {
        switch scheme {
        case "smtps", "smtp+tls":
            MalformedValue(
                "\(scheme):// (TLS to relays) is not supported by this release of Pouch; write smtp://\(place.prefix(60)) "
                    + "to relay in clear.")
        default:
            MalformedValue(
                "\"\(scheme.prefix(20))://\" is no protocol of relays. Expected smtp, smtp+notls or lmtp."
                    + Suggestion.text(for: scheme, among: ["smtp", "smtp+notls", "lmtp"]))
        }
    }

    private static func split(_ place: String) -> (String, UInt16?)? {
        var host = Substring(place)
        var port: UInt16?
        let afterBracket = place.lastIndex(of: "]").map { place.index(after: $0) } ?? place.startIndex
        if let colon = place[afterBracket...].lastIndex(of: ":") {
            guard let number = Values.port(place[place.index(after: colon)...]) else { return nil }
            (host, port) = (place[..<colon], number)
        }
        guard isHost(String(host)) else { return nil }
        return (host.first == "[" ? String(host.dropFirst().dropLast()) : String(host), port)
    }

    /// A domain name, an IPv4 address, or an IPv6 address in brackets.
    static func isHost(_ text: String) -> Bool {
        text.first == "[" ? IPAddress(text) != nil : Values.isHostname(text)
    }
}
