// Owns: `smtp ...`: what the listener allows. Refuses: where it listens (ListenStatement).

extension Parser {
    /// 1 TiB: any size that octet counts in the protocol and the spool can carry without overflow.
    static let messageSizeLimit = 1 << 40

    mutating func parseSMTP(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        cursor.advance()
        switch cursor.keyword {
        case "max-message-size":
            try once("smtp max-message-size", at: start)
            cursor.advance()
            configuration.maxMessageSize = try messageSize(&cursor)
        case "limit":
            cursor.advance()
            try parseLimits(&cursor)
        case "sub-addr-delim":
            try once("smtp sub-addr-delim", at: start)
            cursor.advance()
            configuration.subaddressDelimiter = try delimiter(&cursor)
        case "ciphers", "protocols":
            refuse(cursor.unsupported("TLS (smtp \(cursor.keyword ?? "")) is", "remove the line"))
            cursor.advance()
            _ = try cursor.word("a list in quotes")
        default: throw cursor.unexpected(["max-message-size", "limit", "sub-addr-delim"])
        }
    }

    private func messageSize(_ cursor: inout Cursor) throws(ConfigurationError) -> Int {
        let start = cursor.position
        let text = try cursor.word("a size such as 35M")
        guard let size = Values.size(text), (1...Self.messageSizeLimit).contains(size) else {
            throw cursor.error(
                at: start,
                "\"\(text.prefix(40))\" is no size from 1 octet to 1024G. Write octets, or a number with K, M or G.")
        }
        return size
    }

    private mutating func parseLimits(_ cursor: inout Cursor) throws(ConfigurationError) {
        repeat {
            let start = cursor.position
            if cursor.take("max-mails") {
                try once("smtp limit max-mails", at: start)
                configuration.maxMails = try cursor.number(1...1_000_000, "a number of mails")
            } else if cursor.take("max-rcpt") {
                try once("smtp limit max-rcpt", at: start)
                configuration.maxRecipients = try cursor.number(1...100_000, "a number of recipients")
            } else {
                throw cursor.unexpected(["max-mails", "max-rcpt"])
            }
        } while !cursor.atEnd
    }

    private func delimiter(_ cursor: inout Cursor) throws(ConfigurationError) -> Character {
        let start = cursor.position
        let text = try cursor.word("one character such as +")
        guard text.utf8.count == 1, let character = text.first, character.isASCII,
            !character.isLetter, !character.isNumber, !"@ \t\"\\.".contains(character)
        else {
            throw cursor.error(at: start, "the delimiter of sub-addresses is one sign such as \"+\" or \"-\".")
        }
        return character
    }
}
