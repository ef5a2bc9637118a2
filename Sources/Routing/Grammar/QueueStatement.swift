// Owns: `queue ...`. Refuses: sealing and compression: read to the end of their grammar, then refused until they work,
// since mail must never be stored in clear by a configuration that asks for a sealed queue.

extension Parser {
    mutating func parseQueue(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        cursor.advance()
        if cursor.take("directory") {
            try once("queue directory", at: start)
            configuration.queueDirectory = try cursor.path("the queue")
        } else if cursor.take("ttl") {
            try once("queue ttl", at: start)
            configuration.queueTTL = try cursor.duration()
        } else if cursor.take("compression") {
            try cursor.expectEnd()
            throw cursor.error(
                at: start, "queue compression is not built yet: remove the line; mail is stored as it came.")
        } else if cursor.take("encryption") {
            try parseEncryption(&cursor)
            try cursor.expectEnd()
            throw cursor.error(
                at: start,
                "queue encryption is not built yet: remove the line, and know that mail is then stored in clear.")
        } else if cursor.take("ledger") {
            _ = try cursor.path("the ledger")
            throw cursor.error(
                at: start, "queue ledger belongs to encryption, which is not built yet: remove the line.")
        } else {
            throw cursor.unexpected(["directory", "ttl", "compression", "encryption", "ledger"])
        }
    }

    /// `[previous] key ...`, `iterations N`, `pbkdf2 each`, and the forms of smtpd.conf(5): nothing, `KEY`, `stdin`, `-`.
    private func parseEncryption(_ cursor: inout Cursor) throws(ConfigurationError) {
        if cursor.take("previous") {
            guard cursor.take("key") else { throw cursor.unexpected(["key"]) }
            return try parseKey(&cursor)
        }
        if cursor.take("key") { return try parseKey(&cursor) }
        if cursor.take("iterations") {
            _ = try cursor.number(100_000...100_000_000, "a number of iterations")
        } else if cursor.take("pbkdf2") {
            guard cursor.take("each") else { throw cursor.unexpected(["each"]) }
        } else if !cursor.atEnd {
            try parseSecret(&cursor)
        }
    }

    private func parseKey(_ cursor: inout Cursor) throws(ConfigurationError) {
        if cursor.take("file") {
            _ = try cursor.path("the key")
        } else if cursor.take("credential") {
            _ = try cursor.word("the credential's name")
        } else if cursor.take("command") {
            _ = try cursor.word("the command that prints the key")
        } else if !cursor.take("stdin") {
            try parseSecret(&cursor)
        }
    }

    /// The passphrase itself never stands in an error.
    private func parseSecret(_ cursor: inout Cursor) throws(ConfigurationError) {
        guard let text = cursor.current?.text else {
            throw cursor.error("the passphrase is missing. Write it in quotes.")
        }
        guard !text.isEmpty else { throw cursor.error("the passphrase is empty. Choose one of 16 characters or more.") }
        cursor.advance()
    }
}
