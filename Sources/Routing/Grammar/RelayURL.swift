// Owns: the next hop as configurations and tables write it. Refuses: resolving, connecting.

/// A value that does not read as what it should be; a sentence says why and what to write.
public struct MalformedValue: Error, Hashable, Sendable {
    public let sentence: String
    public init(_ sentence: String) { self.sentence = sentence }
}

/// `[proto://][label@]host[:port]`.
enum RelayURL {
    /// What a text says, and the sentence about what of it is not supported.
    struct Place {
        var host: RelayHost
        var unsupported: String?
    }

    static func read(_ text: String) throws(MalformedValue) -> RelayHost {
        let place = try parse(text)
        if let sentence = place.unsupported { throw MalformedValue(sentence) }
        return place.host
    }

    static func parse(_ text: String) throws(MalformedValue) -> Place {
        let parts = text.split(separator: "://", maxSplits: 1, omittingEmptySubsequences: false)
        let place = String(parts.count == 2 ? parts[1] : parts.first ?? "")
        let name = parts.count == 2 ? parts[0].lowercased() : "smtp"
        let at = place.firstIndex(of: "@")
        let label = at.map { place[..<$0] }
        guard let (host, port) = split(at.map { String(place[place.index(after: $0)...]) } ?? place), label != "" else {
            throw MalformedValue(
                "\"\(text.prefix(60))\" is no relay. Write [smtp://]host[:port], an IPv6 address in brackets.")
        }
        let isTLS = ["smtps", "smtp+tls"].contains(name)
        guard let scheme = isTLS ? .smtp : RelayHost.Scheme(rawValue: name) else { throw wrongScheme(name) }
        let result = RelayHost(scheme: scheme, host: host, port: port ?? (name == "smtps" ? 465 : 25))
        if isTLS { return Place(host: result, unsupported: noTLS(name, place)) }
        return Place(host: result, unsupported: label == nil ? nil : noLabels)
    }

    private static let noLabels =
        "a label before \"@\" (authentication to relays) is not supported by this release of Pouch; write the host alone."

    private static func noTLS(_ scheme: String, _ place: String) -> String {
        "\(scheme):// (TLS to relays) is not supported by this release of Pouch; write smtp://\(place.prefix(60)) to relay "
            + "in clear."
    }

    private static func wrongScheme(_ scheme: String) -> MalformedValue {
        MalformedValue(
            "\"\(scheme.prefix(20))://\" is no protocol of relays. Expected smtp, smtp+notls or lmtp."
                + Suggestion.text(for: scheme, among: ["smtp", "smtp+notls", "lmtp"]))
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
