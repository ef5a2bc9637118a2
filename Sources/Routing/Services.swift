// Owns: what tables are asked for and how keys and values of each service read, once for every backend: a backend
// gives strings, so none can forget a service. Refuses: storing entries (Tables), deciding (Matching, Expansion).

import MailModel

/// What a table can be asked for, by the names of table(5).
public enum TableService: String, CaseIterable, Hashable, Sendable {
    case alias, domain, netaddr, userinfo, mailaddr, addrname, source, string, mailaddrmap, relayhost, credentials
    case regex

    /// Whether entries must be keys with values; the others are lists.
    var needsValues: Bool {
        switch self {
        case .domain, .netaddr, .mailaddr, .source, .regex: false
        case .alias, .userinfo, .addrname, .string, .mailaddrmap, .relayhost, .credentials: true
        }
    }

    /// Tags and users may stand in a list: being there is all that is asked of them.
    var takesLists: Bool { !needsValues || self == .string }

    /// Whether `Key` and `key` are one. Users and labels are told apart as the system and their owners do.
    var foldsCase: Bool {
        switch self {
        case .alias, .domain, .netaddr, .mailaddr, .addrname, .source, .regex: true
        case .userinfo, .string, .mailaddrmap, .relayhost, .credentials: false
        }
    }

    /// For sentences about what a table is used for.
    var purpose: String {
        switch self {
        case .alias: "aliases"
        case .domain: "domains"
        case .netaddr: "networks"
        case .userinfo: "users"
        case .mailaddr: "mail addresses"
        case .addrname: "names of addresses"
        case .source: "source addresses"
        case .string: "strings"
        case .mailaddrmap: "senders of users"
        case .relayhost: "relays"
        case .credentials: "credentials"
        case .regex: "regular expressions"
        }
    }

    /// What is wrong with a key of a list, as a sentence; nil when nothing is.
    func wrongKey(_ key: String) -> String? {
        switch self {
        case .domain where !DomainPattern.isValid(key):
            "\"\(key.prefix(60))\" is no domain. Write example.org, or *.example.org for all below it."
        case .netaddr where Network(key) == nil:
            "\"\(key.prefix(60))\" is no network. Write an address, or one with a prefix length such as 192.0.2.0/24."
        case .mailaddr where !MailAddressPattern.isValid(key):
            "\"\(key.prefix(60))\" is no address pattern. Write user@example.org, @example.org or user."
        case .source where IPAddress(key) == nil: "\"\(key.prefix(60))\" is no address."
        case .regex: Self.wrongPattern(key)
        case .alias, .domain, .netaddr, .userinfo, .mailaddr, .addrname, .source, .string, .mailaddrmap, .relayhost,
            .credentials:
            nil
        }
    }

    private static func wrongPattern(_ text: String) -> String? {
        do {
            _ = try Pattern(text)
            return nil
        } catch { return error.sentence }
    }

    /// What is wrong with a value, as a sentence; nil when nothing is.
    func wrongValue(_ value: String) -> String? {
        do {
            switch self {
            case .alias: _ = try AliasValue.parse(value)
            case .userinfo: _ = try UserInfo(value: value)
            case .relayhost: _ = try RelayURL.read(value)
            case .credentials: _ = try Credentials(value: value)
            case .mailaddrmap: _ = try SenderMap.parse(value)
            case .addrname where !Values.isHostname(value): return "\"\(value.prefix(60))\" is no host name."
            case .addrname, .string, .domain, .netaddr, .mailaddr, .source, .regex: break
            }
            return nil
        } catch {
            let sentence = error.sentence
            return sentence.hasSuffix(".") ? sentence : sentence + "."
        }
    }
}

/// `example.org`, `*.example.org` (anything below it), `*`.
enum DomainPattern {
    static func isValid(_ text: String) -> Bool {
        if text == "*" || (text.first == "[" && Mailbox.isDomain(text)) { return true }
        return Values.isDomain(text.hasPrefix("*.") ? String(text.dropFirst(2)) : text)
    }

    /// The keys under which a domain can stand, the narrowest first: itself, `*.parent`..., `*`.
    static func keys(_ domain: String) -> [String] {
        let domain = domain.lowercased()
        guard domain.first != "[" else { return [domain, "*"] }
        // Mailbox bounds a domain at 255 octets, so at 128 labels.
        var keys = [domain]
        var rest = domain[...]
        while let dot = rest.firstIndex(of: ".") {
            rest = rest[rest.index(after: dot)...]
            keys.append("*.\(rest)")
        }
        return keys + ["*"]
    }
}

/// `user@domain`, `@domain`, `user`, `@` (anyone); a domain may be a pattern and `*` may stand for the user.
enum MailAddressPattern {
    static func isValid(_ text: String) -> Bool {
        if text == "@" || text == "*" || text == "<>" { return true }
        guard let at = text.lastIndex(of: "@") else { return AliasValue.isUser(text) }
        let local = String(text[..<at])
        return (local.isEmpty || local == "*" || Mailbox("\(local)@x") != nil)
            && DomainPattern.isValid(String(text[text.index(after: at)...]))
    }

    /// The keys under which an address can stand, the narrowest first.
    static func keys(_ mailbox: Mailbox) -> [String] {
        let local = mailbox.quotedLocalPart.lowercased()
        let domains = DomainPattern.keys(mailbox.domain)
        return domains.map { "\(local)@\($0)" } + [local] + domains.flatMap { ["@\($0)", "*@\($0)"] } + ["@", "*"]
    }
}

extension UserInfo {
    /// `uid:gid:home`.
    init(value: String) throws(MalformedValue) {
        let parts = value.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let uid = Values.number(parts[0]).flatMap({ UInt32(exactly: $0) }),
            let gid = Values.number(parts[1]).flatMap({ UInt32(exactly: $0) }), parts[2].hasPrefix("/")
        else {
            throw MalformedValue("\"\(value.prefix(60))\" is no user: write uid:gid:/home")
        }
        self.init(uid: uid, gid: gid, home: String(parts[2]))
    }
}

/// `user:password` of a relay's label, or the hash of a listener's user.
public struct Credentials: Hashable, Sendable {
    /// nil where the value is a hash alone.
    public var user: String?
    public var secret: String

    /// The secret never stands in an error.
    init(value: String) throws(MalformedValue) {
        guard !value.isEmpty else { throw MalformedValue("empty credentials: write user:password, or a hash") }
        guard let colon = value.firstIndex(of: ":"), value.first != "$" else {
            (user, secret) = (nil, value)
            return
        }
        (user, secret) = (String(value[..<colon]), String(value[value.index(after: colon)...]))
        guard user != "", !secret.isEmpty else {
            throw MalformedValue("credentials without a user or a password: write user:password")
        }
    }
}

/// The addresses that a user may send as.
enum SenderMap {
    static func parse(_ value: String) throws(MalformedValue) -> [String] {
        let patterns = value.split(whereSeparator: { $0 == "," || $0 == " " || $0 == "\t" }).map(String.init)
        for pattern in patterns where !MailAddressPattern.isValid(pattern) {
            throw MalformedValue(
                "\"\(pattern.prefix(60))\" is no address pattern: write user@example.org or @example.org")
        }
        return patterns
    }
}
