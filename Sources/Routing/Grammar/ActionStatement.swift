// Owns: `action ...`: the methods and the options of local delivery. Refuses: relaying (RelayOptions), delivering.

extension Parser {
    mutating func parseAction(_ cursor: inout Cursor) throws(ConfigurationError) {
        cursor.advance()
        let start = cursor.position
        let name = try cursor.word("an action's name, in quotes")
        if let first = actionPositions[name] {
            throw error(at: start, "action \"\(name)\" is defined twice, first in \(place(first)). Rename one.")
        }
        guard name.utf8.count <= 64, name.utf8.allSatisfy({ (33...126).contains($0) }) else {
            throw error(at: start, "an action's name has 1 to 64 printable characters without blanks.")
        }
        actionPositions[name] = start
        if cursor.take("relay") {
            let (relay, ttl) = try parseRelay(&cursor, action: name)
            configuration.actions[name] = Action(name: name, method: .relay(relay))
            configuration.actions[name]?.ttl = ttl
        } else {
            try parseLocal(&cursor, name: name)
        }
    }

    static let methods = ["maildir", "lmtp", "relay", "expand-only", "forward-only"]
    /// Of smtpd.conf(5), and not supported yet.
    private static let refusedMethods = ["mbox", "mda"]
    private static let options = ["alias", "virtual", "userbase", "user", "ttl"]
    private static let refusedOptions = ["wrapper"]

    private mutating func parseLocal(_ cursor: inout Cursor, name: String) throws(ConfigurationError) {
        var action = Action(name: name, method: .expandOnly)
        var method: String?
        var given: Set<String> = []
        while !cursor.atEnd {
            guard let word = cursor.keyword else { throw cursor.unexpected(expected(method)) }
            if Self.options.contains(word) || Self.refusedOptions.contains(word) {
                guard given.insert(word).inserted else {
                    throw cursor.error("\"\(word)\" stands here twice. Keep one.")
                }
                try parseOption(&cursor, &action)
            } else if let first = method, (Self.methods + Self.refusedMethods).contains(word) {
                throw cursor.error("an action has one method, and \"\(first)\" stands here already. Remove one.")
            } else if let found = try parseMethod(&cursor) {
                (action.method, method) = (found, word)
            } else {
                throw cursor.unexpected(expected(method))
            }
        }
        guard method != nil else { throw cursor.unexpected(Self.methods) }
        configuration.actions[name] = action
    }

    private func expected(_ method: String?) -> [String] { (method == nil ? Self.methods : []) + Self.options }

    /// nil when no method begins here.
    private mutating func parseMethod(_ cursor: inout Cursor) throws(ConfigurationError) -> Action.Method? {
        switch cursor.keyword {
        case "maildir": return try parseMaildir(&cursor)
        case "lmtp":
            cursor.advance()
            let destination = try lmtpDestination(&cursor)
            return .lmtp(destination: destination, rcptTo: cursor.take("rcpt-to"))
        case "expand-only":
            cursor.advance()
            return .expandOnly
        case "forward-only":
            cursor.advance()
            return .forwardOnly
        case "mbox":
            refuse(cursor.unsupported("mbox is", "write \"maildir\""))
            cursor.advance()
            return .maildir(path: nil)
        case "mda":
            refuse(cursor.unsupported("mda (a delivery command) is", "write \"maildir\", or \"lmtp\" to a server"))
            cursor.advance()
            let start = cursor.position
            let command = try cursor.word("the command in quotes")
            if let wrong = FormatString.mistake(in: command) { throw cursor.error(at: start, wrong) }
            return .maildir(path: nil)
        default: return nil
        }
    }

    private mutating func parseMaildir(_ cursor: inout Cursor) throws(ConfigurationError) -> Action.Method {
        cursor.advance()
        let next = cursor.keyword
        var path: String?
        let words = Self.options + Self.refusedOptions + Self.methods + Self.refusedMethods + ["junk"]
        if cursor.current?.text != nil, !words.contains(next ?? "") { path = try maildirPath(&cursor) }
        if cursor.keyword == "junk" {
            refuse(cursor.unsupported("junk is", "remove it; no filter marks junk yet"))
            cursor.advance()
        }
        return .maildir(path: path)
    }

    /// Absolute, or from the user's home by `~/` or `%{user.directory}`.
    private func maildirPath(_ cursor: inout Cursor) throws(ConfigurationError) -> String {
        let start = cursor.position
        let text = try cursor.word("the Maildir's path")
        if let wrong = FormatString.mistake(in: text) { throw cursor.error(at: start, wrong) }
        let rest = text.hasPrefix("~/") ? String(text.dropFirst()) : text
        guard !rest.hasPrefix("%{user.directory") else { return text }
        guard rest.hasPrefix("/") else {
            throw cursor.error(
                at: start,
                "the path of a Maildir must begin with \"/\", \"~/\" or \"%{user.directory}\"; \"\(text.prefix(60))\" "
                    + "is relative.")
        }
        if let wrong = Values.wrongPath(rest) { throw cursor.error(at: start, "the path of the Maildir \(wrong)") }
        return text
    }

    private func lmtpDestination(_ cursor: inout Cursor) throws(ConfigurationError) -> String {
        if cursor.current?.text?.hasPrefix("/") == true { return try cursor.socketPath("the LMTP server's socket") }
        let start = cursor.position
        let text = try cursor.word("host:port or the path of a socket")
        guard let colon = text.lastIndex(of: ":"), Values.port(text[text.index(after: colon)...]) != nil,
            RelayURL.isHost(String(text[..<colon]))
        else {
            throw cursor.error(
                at: start,
                "\"\(text.prefix(60))\" is no LMTP server. Write host:port, or the absolute path of a socket.")
        }
        return text
    }

    // MARK: Options

    private mutating func parseOption(_ cursor: inout Cursor, _ action: inout Action) throws(ConfigurationError) {
        let word = cursor.keyword
        if word == "wrapper" { refuse(cursor.unsupported("wrapper is", "remove it")) }
        cursor.advance()
        switch word {
        case "wrapper": _ = try cursor.word("the wrapper's name")
        case "alias": action.aliasTable = try mappingTable(&cursor, .alias, option: "alias", of: action.name)
        case "virtual": action.virtualTable = try mappingTable(&cursor, .alias, option: "virtual", of: action.name)
        case "userbase": action.userTable = try mappingTable(&cursor, .userinfo, option: "userbase", of: action.name)
        case "user": action.user = try cursor.word("a user's name")
        default: action.ttl = try cursor.duration()
        }
    }

    /// `<name>`, or `{ k = v }`, which becomes a table named after the action and the option.
    mutating func mappingTable(
        _ cursor: inout Cursor, _ service: TableService, option: String, of action: String
    ) throws(ConfigurationError) -> String {
        switch try cursor.tableArgument("<table>") {
        case .named(let name, let position):
            tableUses.append(TableUse(name: name, position: position, service: service))
            return name
        case .braces(let braces):
            guard braces.isMapping || braces.items.isEmpty else {
                let key = braces.items[0].key.prefix(40)
                throw error(at: braces.open, "\(option) takes a table: write <\(key)>, or { key = value }.")
            }
            // A blank can't stand in the name of any other table that is referred to.
            let name = "\(option) of \(action)"
            try defineInPlace(name, braces, at: braces.open)
            tableUses.append(TableUse(name: name, position: braces.open, service: service))
            return name
        }
    }
}
