// Owns: `mta limit`, `mta max-deferred`, `mda ...`, `scheduler limit`, which are not supported yet. Refuses: what else
// `mta` says (MTAStatement).

extension Parser {
    private static let mtaKeys = [
        "max-conn-per-host", "max-conn-per-route", "max-conn-per-source", "max-conn-per-connector",
        "max-conn-per-relay", "max-conn-per-domain", "conn-delay-host", "conn-delay-route", "conn-delay-source",
        "conn-delay-connector", "conn-delay-relay", "conn-delay-domain", "reconn-delay-route", "session-mail-max",
        "session-transaction-delay", "session-keepalive", "max-failures-per-session", "family", "task-hiwat",
        "task-lowat", "task-release",
    ]
    private static let schedulerKeys = ["max-inflight", "max-evp-batch-size", "max-msg-batch-size", "max-schedule"]
    private static let mdaKeys = ["max-session", "max-session-per-user", "task-hiwat", "task-lowat", "task-release"]

    /// `mta limit [for domain D] (inet4 | inet6 | KEY N)...`, behind `mta`.
    mutating func parseMTALimit(_ cursor: inout Cursor) throws(ConfigurationError) {
        refuse(cursor.unsupported("mta limit is", "remove the line"))
        cursor.advance()
        if cursor.take("for") {
            guard cursor.take("domain") else { throw cursor.unexpected(["domain"]) }
            _ = try cursor.word("a domain")
        }
        repeat {
            if cursor.take("inet4") || cursor.take("inet6") { continue }
            try skipLimit(&cursor, Self.mtaKeys)
        } while !cursor.atEnd
    }

    /// `mta max-deferred N`, behind `mta`.
    mutating func parseMaxDeferred(_ cursor: inout Cursor) throws(ConfigurationError) {
        refuse(cursor.unsupported("mta max-deferred is", "remove the line; there is no such limit"))
        cursor.advance()
        _ = try cursor.number(0...1_000_000, "a number of messages")
    }

    /// `scheduler limit KEY N...`.
    mutating func parseScheduler(_ cursor: inout Cursor) throws(ConfigurationError) {
        refuse(cursor.unsupported("scheduler limit is", "remove the line; \"mta retry\" sets the pauses"))
        cursor.advance()
        guard cursor.take("limit") else { throw cursor.unexpected(["limit"]) }
        repeat { try skipLimit(&cursor, Self.schedulerKeys) } while !cursor.atEnd
    }

    /// `mda limit KEY N...` and `mda wrapper NAME CMD`.
    mutating func parseMDA(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        cursor.advance()
        switch cursor.keyword {
        case "limit":
            refuse(cursor.unsupported(at: start, "mda limit is", "remove the line"))
            cursor.advance()
            repeat { try skipLimit(&cursor, Self.mdaKeys) } while !cursor.atEnd
        case "wrapper":
            refuse(cursor.unsupported(at: start, "mda wrapper is", "remove the line"))
            cursor.advance()
            _ = try cursor.word("the wrapper's name")
            let place = cursor.position
            let command = try cursor.word("the command in quotes")
            if let wrong = FormatString.mistake(in: command, besides: ["mda"]) { throw cursor.error(at: place, wrong) }
        default: throw cursor.unexpected(["limit", "wrapper"])
        }
    }

    private func skipLimit(_ cursor: inout Cursor, _ keys: [String]) throws(ConfigurationError) {
        try skip(&cursor, oneOf: keys)
        _ = try cursor.number(0...1_000_000_000, "a whole number")
    }
}
