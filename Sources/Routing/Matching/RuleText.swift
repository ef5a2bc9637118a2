// Owns: rules and next hops in the words of pouch.conf(5), for people. Refuses: reading them (Grammar).

extension Rule: CustomStringConvertible {
    /// The rule as the grammar has it, what it leaves out written out: `match from local for any action "out"`.
    public var description: String {
        let words = conditions.map(\.text).joined(separator: " ")
        let end =
            switch outcome {
            case .action(let name): "action \"\(name)\""
            case .reject: "reject"
            }
        return words.isEmpty ? "match \(end)" : "match \(words) \(end)"
    }

    /// `pouch.conf:12`, or `built in`.
    public var place: String { file.map { "\($0):\(line)" } ?? "built in" }
}

extension Rule.Condition {
    /// As the grammar has it, `!` included.
    public var text: String { (negated ? "!" : "") + test.text }
}

extension Rule.Test {
    fileprivate var text: String {
        switch self {
        case .fromAny: "from any"
        case .fromLocal: "from local"
        case .fromSocket: "from socket"
        case .fromName(nil): "from rdns"
        case .fromName(let table?): "from rdns \(table.text)"
        case .fromUser(let users): "auth \(users.text)"
        case .fromSource(let table): "from src \(table.text)"
        case .fromMailFrom(let table): "from mail-from \(table.text)"
        case .fromAuthenticated: "from auth"
        case .forAny: "for any"
        case .forLocal: "for local"
        case .forDomain(let table): "for domain \(table.text)"
        case .forRecipient(let table): "for rcpt-to \(table.text)"
        case .tag(let tags): "tag \(tags.text)"
        case .helo(let names): "helo \(names.text)"
        case .tls: "tls"
        }
    }
}

extension TableReference {
    fileprivate var text: String {
        switch self {
        case .named(let name): "<\(name)>"
        case .values(let values): Self.list(values)
        case .namedExpressions(let name): "regex <\(name)>"
        case .expressions(let values): "regex \(Self.list(values))"
        }
    }

    private static func list(_ values: [String]) -> String {
        let quoted = values.map { "\"\($0)\"" }
        return quoted.count == 1 ? quoted[0] : "{ \(quoted.joined(separator: ", ")) }"
    }
}

extension RelayHost: CustomStringConvertible {
    public var description: String { "\(scheme.rawValue)://\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}

extension Action {
    /// Where mail for a domain goes by this action.
    public func nextHop(domain: String) -> String {
        switch method {
        case .maildir(let path): "maildir \(path ?? "~/Maildir")"
        case .lmtp(let destination, _): "lmtp \(destination)"
        case .relay(let relay):
            relay.hosts.isEmpty
                ? "by MX of \(domain)" : relay.hosts.map(\.description).joined(separator: ", then ")
        case .expandOnly: "only where an alias sends it"
        case .forwardOnly: "only to other addresses"
        }
    }
}
