// Owns: what follows `action NAME relay`. Refuses: local delivery, connecting.

import MailModel

extension Parser {
    private static let options = ["host", "helo", "src", "mail-from", "ttl"]

    /// - Returns: the relay, and how long it tries when the action says so.
    mutating func parseRelay(
        _ cursor: inout Cursor, action: String
    ) throws(ConfigurationError) -> (relay: Action.Relay, ttl: Duration?) {
        var relay = Action.Relay()
        var ttl: Duration?
        var given: Set<String> = []
        while !cursor.atEnd {
            guard let word = cursor.keyword else { throw cursor.unexpected(Self.options) }
            guard word == "host" || given.insert(word).inserted else {
                throw cursor.error("\"\(word)\" stands here twice. Keep one.")
            }
            if try parseRefused(word, &cursor, action) { continue }
            guard Self.options.contains(word) else { throw cursor.unexpected(Self.options) }
            cursor.advance()
            if word == "ttl" { ttl = try cursor.duration() } else { try parse(word, &cursor, &relay, action) }
        }
        return (relay, ttl)
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
        case "src":
            relay.sources = try values(&cursor, .sources, "an address of this machine", action) {
                (parser, text, position) throws(ConfigurationError) in try parser.source(text, position)
            }
        default:
            relay.hosts += try values(&cursor, .hosts, "a relay such as smtp://relay.example.org", action) {
                (parser, text, position) throws(ConfigurationError) in try parser.host(text, position)
            }
        }
    }

    /// The values in place; a table is filled in by CrossCheck, when it is known.
    private mutating func values<Value>(
        _ cursor: inout Cursor, _ goal: PendingList.Goal, _ what: String, _ action: String,
        _ read: (inout Parser, String, Position) throws(ConfigurationError) -> Value
    ) throws(ConfigurationError) -> [Value] {
        switch try cursor.tableArgument(what) {
        case .named(let name, let position):
            listTables.append(PendingList(action: action, goal: goal, table: name, position: position))
            return []
        case .braces(let braces):
            var values: [Value] = []
            for item in try cursor.list(braces, "relay") { values.append(try read(&self, item.key, item.position)) }
            guard !values.isEmpty else { throw cursor.error(at: braces.open, "nothing stands between these braces.") }
            return values
        }
    }

    mutating func host(_ text: String, _ position: Position) throws(ConfigurationError) -> RelayHost {
        do {
            let place = try RelayURL.parse(text)
            if let sentence = place.unsupported { refuse(error(at: position, sentence)) }
            return place.host
        } catch { throw self.error(at: position, error.sentence) }
    }

    mutating func source(_ text: String, _ position: Position) throws(ConfigurationError) -> String {
        guard IPAddress(text) != nil else {
            throw error(
                at: position, "\"\(text.prefix(60))\" is no address. Write an IPv4 or IPv6 address of this machine.")
        }
        return bareAddress(text)
    }

    // MARK: Not supported yet

    /// Reads an option that is refused, with what belongs to it; false when none begins here.
    private mutating func parseRefused(
        _ word: String, _ cursor: inout Cursor, _ action: String
    ) throws(ConfigurationError) -> Bool {
        guard let refusal = refusal(word, cursor) else { return false }
        if ["alias", "virtual", "userbase", "user"].contains(word) { throw refusal }
        refuse(refusal)
        cursor.advance()
        switch word {
        case "tls": _ = cursor.take("no-verify")
        case "backup": if cursor.take("mx") { _ = try cursor.hostname("the name of a mail server") }
        case "ca", "pki", "protocols", "ciphers", "filter": _ = try cursor.word("a name")
        case "auth": _ = try mappingTable(&cursor, .credentials, option: word, of: action)
        case "helo-src": _ = try mappingTable(&cursor, .addrname, option: word, of: action)
        case "domain": _ = try mappingTable(&cursor, .relayhost, option: word, of: action)
        default: break
        }
        return true
    }

    private func refusal(_ word: String, _ cursor: Cursor) -> ConfigurationError? {
        let remove = "remove \"\(word)\" from the action"
        switch word {
        case "tls", "ca", "pki", "protocols", "ciphers":
            return cursor.unsupported("TLS to relays (\(word)) is", "\(remove); mail then goes out in clear")
        case "auth":
            return cursor.unsupported(
                "authentication to relays (auth) is", "\(remove); use a relay that knows your address")
        case "helo-src": return cursor.unsupported("helo-src is", "write \"helo\" and one name")
        case "domain": return cursor.unsupported("relay domain is", "write a rule and an action for each domain")
        case "backup":
            return cursor.unsupported("backup (a backup MX) is", "write \"host\" and the primary server")
        case "srs": return cursor.unsupported("srs (sender rewriting) is", remove)
        case "filter": return cursor.unsupported("filter is", "\(remove), and the name after it")
        case "alias", "virtual", "userbase", "user":
            return cursor.error("\"\(word)\" belongs to local delivery, not to relay. Remove it.")
        default: return nil
        }
    }
}
