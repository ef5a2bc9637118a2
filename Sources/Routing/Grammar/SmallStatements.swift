// Owns: the statements of a line or two: agent, bounce, log, resolver, supervise. Refuses: all others.

extension Parser {
    /// `agent socket "/path"`.
    mutating func parseAgent(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        cursor.advance()
        guard cursor.take("socket") else { throw cursor.unexpected(["socket"]) }
        try once("agent socket", at: start)
        configuration.agentSocket = try cursor.socketPath("the agent's socket")
    }

    /// `bounce warn-interval D[, D...]`: at most four, as in smtpd.conf(5), each longer than the one before.
    mutating func parseBounce(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        cursor.advance()
        guard cursor.take("warn-interval") else { throw cursor.unexpected(["warn-interval"]) }
        try once("bounce warn-interval", at: start)
        var intervals: [Duration] = []
        repeat {
            let place = cursor.position
            let interval = try cursor.duration()
            guard intervals.last.map({ $0 < interval }) ?? true else {
                throw cursor.error(at: place, "each warn-interval must be longer than the one before it.")
            }
            guard intervals.count < 4 else {
                throw cursor.error(at: place, "at most four warn-intervals are possible.")
            }
            intervals.append(interval)
        } while cursor.take(.comma)
        configuration.bounceWarnIntervals = intervals
    }

    /// `log format text`, `log to stderr`: what Pouch does anyway, so that a configuration can say it.
    mutating func parseLog(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        cursor.advance()
        if cursor.take("format") {
            try once("log format", at: start)
            if cursor.keyword == "json" {
                refuse(cursor.unsupported("log format json is", "write \"log format text\""))
            }
            guard cursor.take("text") || cursor.take("json") else { throw cursor.unexpected(["text", "json"]) }
        } else if cursor.take("to") {
            try once("log to", at: start)
            if cursor.keyword == "syslog" {
                refuse(
                    cursor.unsupported(
                        "log to syslog is", "write \"log to stderr\" and let the supervisor forward it"))
            }
            guard cursor.take("stderr") || cursor.take("syslog") else {
                throw cursor.unexpected(["stderr", "syslog"])
            }
        } else {
            throw cursor.unexpected(["format", "to"])
        }
    }

    /// `resolver ADDRESS [port N]`.
    mutating func parseResolver(_ cursor: inout Cursor) throws(ConfigurationError) {
        try once("resolver", at: cursor.position)
        cursor.advance()
        let start = cursor.position
        let text = try cursor.word("the address of a name server")
        guard IPAddress(text) != nil else {
            throw cursor.error(at: start, "\"\(text.prefix(60))\" is no address. Write one such as 127.0.0.1 or ::1.")
        }
        var resolver = Configuration.Resolver(address: bareAddress(text))
        if cursor.take("port") { resolver.port = try cursor.port() }
        configuration.resolver = resolver
    }

    /// `supervise user none` or `supervise user listener "x" relay "y"`.
    mutating func parseSupervise(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        cursor.advance()
        guard cursor.take("user") else { throw cursor.unexpected(["user"]) }
        try once("supervise user", at: start)
        if cursor.take("none") {
            configuration.superviseUsers = .none
            return
        }
        guard cursor.take("listener") else { throw cursor.unexpected(["none", "listener"]) }
        let listener = try cursor.word("the listener's account")
        guard cursor.take("relay") else { throw cursor.unexpected(["relay"]) }
        configuration.superviseUsers = .accounts(listener: listener, relay: try cursor.word("the relay's account"))
    }

    /// Without the brackets that may stand around an IPv6 address, and the `ipv6:` before it.
    func bareAddress(_ text: String) -> String {
        let inner = text.first == "[" ? text.dropFirst().dropLast() : text[...]
        return String(inner.prefix(5).lowercased() == "ipv6:" ? inner.dropFirst(5) : inner)
    }
}
