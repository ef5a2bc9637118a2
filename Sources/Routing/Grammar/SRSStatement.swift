// Owns: `srs ...` and `admd ...`, which are not supported yet. Refuses: showing the key of srs.

extension Parser {
    /// `srs key [backup] SECRET`, `srs ttl D`.
    mutating func parseSRS(_ cursor: inout Cursor) throws(ConfigurationError) {
        refuse(cursor.unsupported("srs (sender rewriting) is", "remove the line and \"srs\" from actions"))
        cursor.advance()
        switch cursor.keyword {
        case "key":
            cursor.advance()
            // `backup` alone is a key of that name.
            if cursor.following != nil { _ = cursor.take("backup") }
            _ = try cursor.word("the secret in quotes")
            guard cursor.atEnd else { throw cursor.error("the statement ends before this. Put the secret in quotes.") }
        case "ttl":
            cursor.advance()
            _ = try cursor.duration()
        default: throw cursor.unexpected(["key", "ttl"])
        }
    }

    /// `admd ID`.
    mutating func parseAdmd(_ cursor: inout Cursor) throws(ConfigurationError) {
        refuse(cursor.unsupported("admd (the name for Authentication-Results) is", "remove the line"))
        cursor.advance()
        _ = try cursor.word("the name of the management domain")
    }
}
