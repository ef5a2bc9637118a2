// Owns: the lines of smtpd-tables(7), protocol 0.1, as OpenSMTPD 7.8 and its table programs speak it. Refuses: whose
// turn it is (ProgramMachine), descriptors.

enum TableProtocol {
    /// Octets of a line from a program: a value of the longest kind, and what stands before it.
    static let lineLimit = TableText.valueLimit + 256
    /// What we call ourselves: programs look which protocol they may expect of an smtpd of that release.
    private static let release = "7.8.0"

    enum Operation: String, CaseIterable {
        /// Tells the program to read its source again; no service, no key.
        case update
        /// Whether the key is in a list.
        case check
        /// The value of a key.
        case lookup
        /// One value of a list whose values take turns; no key.
        case fetch
    }

    struct Request: Hashable, Sendable {
        var operation: Operation
        var service: TableService
        /// Without a line end.
        var key: String
    }

    enum Answer: Hashable, Sendable {
        /// The value; empty for `check` and `update`.
        case found(String)
        case notFound
        /// What the program says of it, if anything.
        case error(String)
    }

    /// What is said before any question.
    static func greeting(table: String) -> String {
        let lines = ["smtpd-version|\(release)", "protocol|0.1", "tablename|\(table)", "ready"]
        return lines.map { "config|\($0)\n" }.joined()
    }

    /// - Parameters:
    ///   - id: eight hexadecimal digits.
    ///   - seconds: of the wall clock, with `microseconds`.
    static func line(
        _ request: Request, table: String, id: String, seconds: Int, microseconds: Int
    ) -> String {
        let fraction = "\(microseconds)"
        let time = "\(seconds)." + String(repeating: "0", count: max(0, 6 - fraction.count)) + fraction
        var fields = ["table", "0.1", time, table, request.operation.rawValue]
        if request.operation != .update { fields.append(request.service.rawValue) }
        fields.append(id)
        if request.operation == .check || request.operation == .lookup { fields.append(request.key) }
        return fields.joined(separator: "|") + "\n"
    }

    /// `register|SERVICE`; nil for anything else. "ready" ends the list.
    static func registration(_ line: String) -> Substring? {
        line.hasPrefix("register|") ? line.dropFirst("register|".count) : nil
    }

    /// `OP-result|ID|answer`; nil for anything else.
    static func reply(_ line: String) -> (operation: Operation, id: Substring, answer: Answer)? {
        let fields = line.split(separator: "|", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3 else { return nil }
        // The manual's example of fetch shows lookup-result; programs write what they were asked.
        guard let operation = Operation.allCases.first(where: { fields[0] == "\($0)-result" }),
            let answer = answer(fields[2], to: operation)
        else { return nil }
        return (operation, fields[1], answer)
    }

    private static func answer(_ text: Substring, to operation: Operation) -> Answer? {
        if text == "error" { return .error("") }
        if text.hasPrefix("error|") { return .error(String(text.dropFirst("error|".count))) }
        switch operation {
        case .update: return text == "ok" ? .found("") : nil
        case .check where text == "found": return .found("")
        case .lookup where text.hasPrefix("found|"), .fetch where text.hasPrefix("found|"):
            return .found(String(text.dropFirst("found|".count)))
        case .check, .lookup, .fetch: return text == "not-found" ? .notFound : nil
        }
    }
}
