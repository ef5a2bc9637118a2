// Owns: `match ...`. Refuses: deciding (Matching).

extension Parser {
    private static let words = [
        "from", "for", "tag", "mail-from", "rcpt-to", "auth", "helo", "tls", "action", "reject",
    ]

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
            guard !negated else { throw cursor.unexpected(Self.words.filter { $0 != "action" && $0 != "reject" }) }
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
        case "socket":
            cursor.advance()
            return .fromSocket
        case "src":
            cursor.advance()
            return .fromSource(try reference(&cursor, .netaddr, "an address, a network or <table>"))
        case "rdns":
            cursor.advance()
            guard hasValue(cursor) else { return .fromName(nil) }
            return .fromName(try reference(&cursor, .domain, "a client's name or <table>"))
        case "mail-from":
            cursor.advance()
            return .fromMailFrom(try reference(&cursor, .mailaddr, "a sender's address or <table>"))
        case "auth": return try authTest(&cursor)
        default: throw cursor.unexpected(["any", "local", "src", "mail-from", "auth", "rdns", "socket"])
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
            return .tag(try reference(&cursor, .string, "a tag or <table>"))
        case "mail-from":
            cursor.advance()
            return .fromMailFrom(try reference(&cursor, .mailaddr, "a sender's address or <table>"))
        case "rcpt-to":
            cursor.advance()
            return .forRecipient(try reference(&cursor, .mailaddr, "a recipient's address or <table>"))
        case "helo":
            cursor.advance()
            return .helo(try reference(&cursor, .domain, "a name in HELO or <table>"))
        case "tls":
            cursor.advance()
            return .tls
        case "auth": return try authTest(&cursor)
        default: throw cursor.unexpected(Self.words)
        }
    }

    private mutating func authTest(_ cursor: inout Cursor) throws(ConfigurationError) -> Rule.Test {
        cursor.advance()
        guard hasValue(cursor) else { return .fromAuthenticated }
        return .fromUser(try reference(&cursor, .string, "a user or <table>"))
    }

    /// Whether a value follows a word that can do without: not another condition, nor the rule's end.
    private func hasValue(_ cursor: Cursor) -> Bool {
        guard let keyword = cursor.keyword else { return cursor.beginsTable }
        return !Self.words.contains(keyword)
    }

    /// `[regex] (VALUE | { VALUE, VALUE } | <table>)`.
    private mutating func reference(
        _ cursor: inout Cursor, _ service: TableService, _ what: String
    ) throws(ConfigurationError) -> TableReference {
        let isExpression = cursor.take("regex")
        let service = isExpression ? .regex : service
        switch try cursor.tableArgument(isExpression ? "a regular expression or <table>" : what) {
        case .named(let name, let position):
            tableUses.append(TableUse(name: name, position: position, service: service))
            return isExpression ? .namedExpressions(name) : .named(name)
        case .braces(let braces):
            let items = try cursor.list(braces, "match")
            guard !items.isEmpty else { throw cursor.error(at: braces.open, "nothing stands between these braces.") }
            for item in items {
                if let wrong = service.wrongKey(item.key) { throw error(at: item.position, wrong) }
            }
            return isExpression ? .expressions(items.map(\.key)) : .values(items.map(\.key))
        }
    }
}
