// Owns: `match ...`. Refuses: deciding (Matching).

extension Parser {
    private static let words = ["from", "for", "tag", "mail-from", "rcpt-to", "auth", "action", "reject"]

    mutating func parseMatch(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        cursor.advance()
        var rule = RuleDraft()
        while rule.outcome == nil {
            let place = cursor.position
            let negated = cursor.take(.bang)
            if let word = cursor.keyword, !["action", "reject"].contains(word),
                !rule.given.insert(word).inserted
            {
                throw cursor.error(at: place, "\"\(word)\" stands in this rule twice. Keep one.")
            }
            try parseCriterion(&cursor, negated: negated, &rule)
        }
        // What a rule leaves out is local: an unfinished rule must not make an open relay.
        let missing = [rule.from ? nil : Rule.Test.fromLocal, rule.to ? nil : .forLocal]
        rule.conditions.insert(contentsOf: missing.compactMap { $0 }.map { Rule.Condition($0) }, at: 0)
        guard let outcome = rule.outcome else { return }
        configuration.rules.append(
            Rule(conditions: rule.conditions, outcome: outcome, line: start.line, file: sources[start.file].path))
    }

    private struct RuleDraft {
        var conditions: [Rule.Condition] = []
        var outcome: Rule.Outcome?
        var from = false
        var to = false
        var given: Set<String> = []
    }

    private mutating func parseCriterion(
        _ cursor: inout Cursor, negated: Bool, _ rule: inout RuleDraft
    ) throws(ConfigurationError) {
        switch cursor.keyword {
        case "from":
            cursor.advance()
            rule.from = true
            rule.conditions.append(Rule.Condition(try fromTest(&cursor), negated: negated))
        case "for":
            cursor.advance()
            rule.to = true
            rule.conditions.append(Rule.Condition(try forTest(&cursor), negated: negated))
        case "action", "reject":
            guard !negated else { throw cursor.unexpected(["from", "for", "tag", "mail-from", "rcpt-to", "auth"]) }
            rule.outcome = try outcome(&cursor)
        default:
            rule.conditions.append(Rule.Condition(try optionTest(&cursor), negated: negated))
        }
    }

    private mutating func outcome(_ cursor: inout Cursor) throws(ConfigurationError) -> Rule.Outcome {
        if cursor.take("reject") { return .reject }
        cursor.advance()
        let start = cursor.position
        let name = try cursor.word("an action's name")
        actionUses.append((name, start))
        return .action(name)
    }

    private mutating func fromTest(_ cursor: inout Cursor) throws(ConfigurationError) -> Rule.Test {
        switch cursor.keyword {
        case "any":
            cursor.advance()
            return .fromAny
        case "local":
            cursor.advance()
            return .fromLocal
        case "src":
            cursor.advance()
            return .fromSource(try reference(&cursor, .netaddr, "an address, a network or <table>"))
        case "mail-from":
            cursor.advance()
            return .fromMailFrom(try reference(&cursor, .mailaddr, "a sender's address or <table>"))
        case "auth": return try authTest(&cursor)
        case "rdns": throw cursor.unsupported("from rdns is", "match \"from src\" with the client's network")
        case "socket": throw cursor.unsupported("from socket is", "write \"from local\", which includes it")
        default: throw cursor.unexpected(["any", "local", "src", "mail-from", "auth"])
        }
    }

    private mutating func forTest(_ cursor: inout Cursor) throws(ConfigurationError) -> Rule.Test {
        switch cursor.keyword {
        case "any":
            cursor.advance()
            return .forAny
        case "local":
            cursor.advance()
            return .forLocal
        case "domain":
            cursor.advance()
            return .forDomain(try reference(&cursor, .domain, "a domain or <table>"))
        case "rcpt-to":
            cursor.advance()
            return .forRecipient(try reference(&cursor, .mailaddr, "a recipient's address or <table>"))
        default: throw cursor.unexpected(["any", "local", "domain", "rcpt-to"])
        }
    }

    /// Criteria beside `from` and `for`.
    private mutating func optionTest(_ cursor: inout Cursor) throws(ConfigurationError) -> Rule.Test {
        switch cursor.keyword {
        case "tag":
            cursor.advance()
            if cursor.keyword == "regex" || cursor.current?.text == nil {
                throw cursor.unsupported("a table of tags is", "write one tag in quotes, and a rule for each")
            }
            return .tag(try cursor.word("a tag"))
        case "mail-from":
            cursor.advance()
            return .fromMailFrom(try reference(&cursor, .mailaddr, "a sender's address or <table>"))
        case "rcpt-to":
            cursor.advance()
            return .forRecipient(try reference(&cursor, .mailaddr, "a recipient's address or <table>"))
        case "auth": return try authTest(&cursor)
        case "helo": throw cursor.unsupported("match helo is", "remove it; what a client calls itself proves nothing")
        case "tls": throw cursor.unsupported("match tls is", "remove it from the rule")
        default: throw cursor.unexpected(Self.words)
        }
    }

    private func authTest(_ cursor: inout Cursor) throws(ConfigurationError) -> Rule.Test {
        cursor.advance()
        if let current = cursor.current, !Self.words.contains(current.keyword ?? ""), current.kind != .bang {
            throw cursor.unsupported("auth with a user or a table is", "write \"auth\" alone")
        }
        return .fromAuthenticated
    }

    private mutating func reference(
        _ cursor: inout Cursor, _ service: TableService, _ what: String
    ) throws(ConfigurationError) -> TableReference {
        if cursor.keyword == "regex" {
            throw cursor.unsupported("matching by regex is", "list the values, with \"*\" for any part of a domain")
        }
        switch try cursor.tableArgument(what) {
        case .named(let name, let position):
            tableUses.append(TableUse(name: name, position: position, service: service))
            return .named(name)
        case .braces(let braces):
            let items = try cursor.list(braces, "match")
            guard !items.isEmpty else { throw cursor.error(at: braces.open, "nothing stands between these braces.") }
            for item in items {
                if let wrong = service.wrongKey(item.key) { throw error(at: item.position, wrong) }
            }
            return .values(items.map(\.key))
        }
    }
}
