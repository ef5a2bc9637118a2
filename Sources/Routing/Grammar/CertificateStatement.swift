// Owns: `pki ...` and `ca ...`: certificates for TLS, which is not supported yet. Refuses: opening them.

extension Parser {
    /// `pki NAME [cert PATH] [key PATH] [dhe none|legacy|auto]`.
    mutating func parsePKI(_ cursor: inout Cursor) throws(ConfigurationError) {
        refuse(cursor.unsupported("pki (certificates for TLS) is", "remove the line"))
        cursor.advance()
        _ = try cursor.word("the name of the certificate's host")
        while !cursor.atEnd {
            switch cursor.keyword {
            case "cert", "key":
                let kind = cursor.keyword == "cert" ? "the certificate" : "the key"
                cursor.advance()
                _ = try cursor.path(kind)
            case "dhe":
                cursor.advance()
                try skip(&cursor, oneOf: ["none", "legacy", "auto"])
            default: throw cursor.unexpected(["cert", "key", "dhe"])
            }
        }
    }

    /// `ca NAME cert PATH`.
    mutating func parseCA(_ cursor: inout Cursor) throws(ConfigurationError) {
        refuse(cursor.unsupported("ca (certificate authorities for TLS) is", "remove the line"))
        cursor.advance()
        _ = try cursor.word("the name of the authority")
        guard cursor.take("cert") else { throw cursor.unexpected(["cert"]) }
        _ = try cursor.path("the certificate")
    }

    func skip(_ cursor: inout Cursor, oneOf words: [String]) throws(ConfigurationError) {
        guard let word = cursor.keyword, words.contains(word) else { throw cursor.unexpected(words) }
        cursor.advance()
    }
}
