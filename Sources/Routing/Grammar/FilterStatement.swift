// Owns: `filter ...` and `proc ...`, which are not supported yet. Refuses: starting filters.

extension Parser {
    private static let phases = ["connect", "helo", "ehlo", "mail-from", "rcpt-to", "data", "commit"]
    private static let decisions = ["bypass", "disconnect", "junk", "reject", "rewrite"]

    /// `filter NAME (proc P | proc-exec CMD [user U] [group G] [chroot D] | chain {..} | phase P match C... DECISION)`.
    mutating func parseFilter(_ cursor: inout Cursor) throws(ConfigurationError) {
        refuse(cursor.unsupported("filter is", "remove the line, or filter in a relay before or after Pouch"))
        cursor.advance()
        _ = try cursor.word("a filter's name")
        switch cursor.keyword {
        case "proc":
            cursor.advance()
            _ = try cursor.word("the name of a proc")
        case "proc-exec":
            cursor.advance()
            try skipProcess(&cursor)
        case "chain":
            cursor.advance()
            try skipFilterNames(&cursor)
        case "phase":
            cursor.advance()
            try skip(&cursor, oneOf: Self.phases)
            guard cursor.take("match") else { throw cursor.unexpected(["match"]) }
            try skipFilterConditions(&cursor)
        default: throw cursor.unexpected(["proc", "proc-exec", "chain", "phase"])
        }
    }

    /// `proc NAME CMD [user U] [group G] [chroot D]`.
    mutating func parseProc(_ cursor: inout Cursor) throws(ConfigurationError) {
        refuse(cursor.unsupported("proc (filter processes) is", "remove the line and the filters that use it"))
        cursor.advance()
        _ = try cursor.word("the name of a proc")
        try skipProcess(&cursor)
    }

    /// `NAME` or `{ NAME, NAME }`, behind `filter` in a listener too.
    func skipFilterNames(_ cursor: inout Cursor) throws(ConfigurationError) {
        guard case .braces(let braces) = try cursor.tableArgument("the name of a filter") else {
            throw cursor.error(at: cursor.previous, "the name of a filter is expected here, not a table.")
        }
        _ = try cursor.list(braces, "filter")
    }

    private func skipProcess(_ cursor: inout Cursor) throws(ConfigurationError) {
        _ = try cursor.word("the command of a filter in quotes")
        while !cursor.atEnd {
            try skip(&cursor, oneOf: ["user", "group", "chroot"])
            _ = try cursor.word("a name or a path")
        }
    }

    /// Conditions, each perhaps with `!`, `regex` and a table, up to the decision.
    private func skipFilterConditions(_ cursor: inout Cursor) throws(ConfigurationError) {
        let alone = ["fcrdns"]
        let perhapsWithTable = ["rdns", "auth"]
        let withTable = ["src", "helo", "mail-from", "rcpt-to"]
        while let word = cursor.keyword ?? (cursor.take(.bang) ? cursor.keyword : nil) {
            if Self.decisions.contains(word) { return try skipDecision(&cursor) }
            try skip(&cursor, oneOf: alone + perhapsWithTable + withTable)
            guard !alone.contains(word) else { continue }
            let hasRegex = cursor.take("regex")
            guard hasRegex || withTable.contains(word) || cursor.beginsTable else { continue }
            _ = try cursor.tableArgument("<table>")
        }
        throw cursor.unexpected(alone + perhapsWithTable + withTable + Self.decisions)
    }

    private func skipDecision(_ cursor: inout Cursor) throws(ConfigurationError) {
        let hasText = !["bypass", "junk"].contains(cursor.keyword)
        cursor.advance()
        if hasText { _ = try cursor.word("a text in quotes") }
    }
}
