// Owns: durations, sizes, numbers, paths and addresses as statements write them. Refuses: statements.

import MailModel

extension Cursor {
    /// `4d`, `30m`, `1h30m`; at least one second, at most `limit`.
    mutating func duration(limit: Duration = .seconds(365 * 86400)) throws(ConfigurationError) -> Duration {
        let start = position
        let text = try word("a duration such as 30m or 4d")
        guard let duration = Values.duration(text) else {
            throw error(
                at: start, "\"\(text.prefix(40))\" is no duration. Write a number with its unit: 30s, 5m, 1h or 4d.")
        }
        guard duration >= .seconds(1), duration <= limit else {
            let most = limit.logDescription
            throw error(
                at: start, "the duration \(text.prefix(40)) is out of range. It must lie between 1s and \(most).")
        }
        return duration
    }

    mutating func number(_ range: ClosedRange<Int>, _ what: String) throws(ConfigurationError) -> Int {
        let start = position
        let text = try word(what)
        guard let number = Values.number(text), range.contains(number) else {
            throw error(
                at: start,
                "\"\(text.prefix(40))\" is not \(what). It must lie between \(range.lowerBound) and \(range.upperBound)."
            )
        }
        return number
    }

    mutating func port() throws(ConfigurationError) -> UInt16 {
        let start = position
        let text = try word("a port")
        guard let port = Values.port(text) else {
            throw error(
                at: start, "\"\(text.prefix(40))\" is no port. Write a number from 1 to 65535, smtp or submission.")
        }
        return port
    }

    /// An absolute path.
    mutating func path(_ what: String) throws(ConfigurationError) -> String {
        let start = position
        let text = try word("the absolute path of \(what)")
        if let wrong = Values.wrongPath(text) { throw error(at: start, "the path of \(what) \(wrong)") }
        return text
    }

    /// The absolute path of a Unix socket, short enough for sockaddr_un.
    mutating func socketPath(_ what: String) throws(ConfigurationError) -> String {
        let start = position
        let text = try path(what)
        guard text.utf8.count <= Values.socketPathLimit else {
            throw error(
                at: start,
                "the path of \(what) has \(text.utf8.count) octets; the system takes \(Values.socketPathLimit) at most."
            )
        }
        return text
    }

    /// A host name, or an address literal in brackets.
    mutating func hostname(_ what: String) throws(ConfigurationError) -> String {
        let start = position
        let text = try word(what)
        guard Values.isHostname(text) else {
            throw error(at: start, "\"\(text.prefix(60))\" is no host name. Write a name such as mail.example.org.")
        }
        return text
    }
}

enum Values {
    /// sun_path has 108 octets, the last for the NUL.
    static let socketPathLimit = 107
    /// PATH_MAX without its NUL.
    static let pathLimit = 4095

    static func number(_ text: some StringProtocol) -> Int? {
        guard (1...18).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text)
    }

    static func duration(_ text: some StringProtocol) -> Duration? {
        var rest = Substring(text)
        var seconds = 0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            // Nine digits of days are less than 2^63 seconds, and the sum of forty such parts too.
            guard digits.utf8.count <= 9, let number = number(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            guard let unit = rest.popFirst(), let factor = ["s": 1, "m": 60, "h": 3600, "d": 86400][unit] else {
                return nil
            }
            guard text.utf8.count <= 40 else { return nil }
            seconds += number * factor
        }
        return text.isEmpty ? nil : .seconds(seconds)
    }

    /// `36700160`, `35M`, `512k`, `1G`: octets.
    static func size(_ text: some StringProtocol) -> Int? {
        let units: [Character: Int] = ["b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30]
        let unit = text.last?.lowercased().first.flatMap { units[$0] }
        guard let number = number(unit == nil ? text[...] : text.dropLast()) else { return nil }
        let (size, overflow) = number.multipliedReportingOverflow(by: unit ?? 1)
        return overflow ? nil : size
    }

    static func port(_ text: some StringProtocol) -> UInt16? {
        switch text {
        case "smtp": 25
        case "submission": 587
        case "lmtp": 24
        default: number(text).flatMap { UInt16(exactly: $0) }.flatMap { $0 == 0 ? nil : $0 }
        }
    }

    /// What is wrong with a path that must be absolute, as the end of a sentence; nil when nothing is.
    static func wrongPath(_ text: String) -> String? {
        guard text.hasPrefix("/") else {
            return "must be absolute, and \"\(text.prefix(60))\" is relative. Begin it with \"/\"."
        }
        guard text.utf8.count <= pathLimit else { return "is longer than \(pathLimit) octets. Shorten it." }
        guard !text.split(separator: "/").contains("..") else {
            return "goes up by \"..\". Write the path that is meant."
        }
        return nil
    }

    /// A domain name; no address literal.
    static func isDomain(_ text: String) -> Bool { text.first != "[" && Mailbox.isDomain(text) }

    /// Letters, digits, hyphens, underscores in labels (RFC 5321 §4.1.2, underscores as they exist), or `[address]`.
    static func isHostname(_ text: String) -> Bool {
        guard text.first == "[" else { return text.utf8.allSatisfy { $0 < 128 } && isDomain(text) }
        let inner = text.hasPrefix("[IPv6:") ? "[" + text.dropFirst(6) : text
        return text.last == "]" && IPAddress(inner) != nil
    }
}
