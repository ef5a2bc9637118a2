// Owns: what follows `action NAME relay`. Refuses: local delivery, connecting.

import MailModel

extension Parser {
    private static let options = ["host", "helo", "src", "mail-from"]

    mutating func parseRelay(_ cursor: inout Cursor, action: String) throws(ConfigurationError) -> Action.Relay {
        var relay = Action.Relay()
        var given: Set<String> = []
        while !cursor.atEnd {
            guard let word = cursor.keyword else { throw cursor.unexpected(Self.options) }
            if let wrong = unsupportedOption(word, cursor) { throw wrong }
            guard word == "host" || given.insert(word).inserted else {
                throw cursor.error("\"\(word)\" stands here twice. Keep one.")
            }
            guard Self.options.contains(word) else { throw cursor.unexpected(Self.options) }
            cursor.advance()
            try parse(word, &cursor, &relay, action)
        }
        return relay
    }

    private mutating func parse(
        _ option: String, _ cursor: inout Cursor, _ relay: inout Action.Relay, _ action: String
    ) throws(ConfigurationError) {
        switch option {
        case "helo": relay.helo = try cursor.hostname("the name for HELO")
        case "mail-from":
            let start = cursor.position
            let text = try cursor.word("a sender's address")
            guard Mailbox(text) != nil || (text.hasPrefix("@") && Values.isDomain(String(text.dropFirst()))) else {
                throw cursor.error(
                    at: start, "\"\(text.prefix(60))\" is no address. Write one such as news@example.org.")
            }
            relay.mailFrom = text
        case "src": relay.sources = try values(&cursor, .sources, "an address of this machine", action, source)
        default: relay.hosts += try values(&cursor, .hosts, "a relay such as smtp://relay.example.org", action, host)
        }
    }

    /// The values in place; a table is filled in by CrossCheck, when it is known.
    private mutating func values<Value>(
        _ cursor: inout Cursor, _ goal: PendingList.Goal, _ what: String, _ action: String,
        _ read: (String, Position) throws(ConfigurationError) -> Value
    ) throws(ConfigurationError) -> [Value] {
        switch try cursor.tableArgument(what) {
        case .named(let name, let position):
            listTables.append(PendingList(action: action, goal: goal, table: name, position: position))
            return []
        case .braces(let braces):
            var values: [Value] = []
            for item in try cursor.list(braces, "relay") { values.append(try read(item.key, item.position)) }
            guard !values.isEmpty else { throw cursor.error(at: braces.open, "nothing stands between these braces.") }
            return values
        }
    }

    func host(_ text: String, _ position: Position) throws(ConfigurationError) -> RelayHost {
        do { return try RelayURL.read(text) } catch { throw self.error(at: position, error.sentence) }
    }

    func source(_ text: String, _ position: Position) throws(ConfigurationError) -> String {
        guard IPAddress(text) != nil else {
            throw error(
                at: position, "\"\(text.prefix(60))\" is no address. Write an IPv4 or IPv6 address of this machine.")
        }
        return bareAddress(text)
    }

    private func unsupportedOption(_ word: String, _ cursor: Cursor) -> ConfigurationError? {
        let remove = "remove \"\(word)\" from the action"
        switch word {
        case "tls", "ca", "pki", "protocols", "ciphers", "no-verify":
            return cursor.unsupported("TLS to relays (\(word)) is", "\(remove); mail then goes out in clear")
        case "auth":
            return cursor.unsupported(
                "authentication to relays (auth) is", "\(remove); use a relay that knows your address")
        case "helo-src": return cursor.unsupported("helo-src is", "write \"helo\" and one name")
        case "domain": return cursor.unsupported("relay domain is", "write a rule and an action for each domain")
        case "backup", "mx":
            return cursor.unsupported("backup (a backup MX) is", "write \"host\" and the primary server")
        case "srs": return cursor.unsupported("srs (sender rewriting) is", remove)
        case "alias", "virtual", "userbase", "user":
            return cursor.error("\"\(word)\" belongs to local delivery, not to relay. Remove it.")
        case "ttl": return cursor.error("\"ttl\" belongs to local delivery. For relaying, \"queue ttl\" sets it.")
        default: return nil
        }
    }
}
