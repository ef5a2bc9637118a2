// Owns: `mta ...`: how the relay tries. Refuses: where it relays (ActionStatement).

extension Parser {
    /// Enough for any curve; the last pause repeats.
    static let retryLimit = 100

    mutating func parseMTA(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        cursor.advance()
        switch cursor.keyword {
        case "prefer":
            try once("mta prefer", at: start)
            cursor.advance()
            if cursor.take("inet4") {
                configuration.prefersIPv4 = true
            } else if cursor.take("inet6") {
                configuration.prefersIPv4 = false
            } else {
                throw cursor.unexpected(["inet4", "inet6"])
            }
        case "retry":
            try once("mta retry", at: start)
            cursor.advance()
            configuration.retryPauses = try retryPauses(&cursor)
        case "limit": try parseMTALimit(&cursor)
        case "max-deferred": try parseMaxDeferred(&cursor)
        default: throw cursor.unexpected(["prefer", "retry"])
        }
    }

    private func retryPauses(_ cursor: inout Cursor) throws(ConfigurationError) -> [Duration] {
        var pauses: [Duration] = []
        repeat {
            guard pauses.count < Self.retryLimit else { throw cursor.error("more than \(Self.retryLimit) pauses.") }
            pauses.append(try cursor.duration(limit: .seconds(30 * 86400)))
        } while !cursor.atEnd
        return pauses
    }
}
