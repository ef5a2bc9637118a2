// Owns: walking the tokens of one statement and saying what was expected. Refuses: knowing any statement.

struct Cursor {
    private let source: SourceText
    private let statement: Statement
    private var index = 0

    init(_ statement: Statement, in source: SourceText) { (self.statement, self.source) = (statement, source) }

    var current: Token? { index < statement.tokens.count ? statement.tokens[index] : nil }
    var following: Token? { index + 1 < statement.tokens.count ? statement.tokens[index + 1] : nil }
    /// Where the current token stands, or the end of the statement.
    var position: Position { current?.position ?? statement.end }
    /// The last position that was passed; the statement's first token at the beginning.
    var previous: Position { index > 0 ? statement.tokens[index - 1].position : position }
    var atEnd: Bool { current == nil }
    /// The places of the statement's first token and of its end.
    var start: Position { statement.tokens.first?.position ?? statement.end }
    var end: Position { statement.end }
    /// The bare word that stands here.
    var keyword: String? { current?.keyword }

    mutating func advance() { index = min(index + 1, statement.tokens.count) }

    mutating func take(_ keyword: String) -> Bool {
        guard self.keyword == keyword else { return false }
        advance()
        return true
    }

    mutating func take(_ kind: Token.Kind) -> Bool {
        guard current?.kind == kind else { return false }
        advance()
        return true
    }

    /// A word, quoted or bare.
    /// - Parameter what: as the error names it, `a duration such as 4d`.
    mutating func word(_ what: String) throws(ConfigurationError) -> String {
        guard let text = current?.text else { throw missing(what) }
        guard !text.isEmpty else { throw error("empty quotes where \(what) is expected.") }
        advance()
        return text
    }

    mutating func expectEnd() throws(ConfigurationError) {
        guard let current else { return }
        throw error("\(current.shown) is too much: the statement ends before it.")
    }

    func error(_ message: String) -> ConfigurationError { error(at: position, message) }

    /// An error about a statement that holds a passphrase shows its first line, whose secret Excerpt hides.
    func error(at position: Position, _ message: String) -> ConfigurationError {
        guard let first = statement.tokens.first, first.keyword == "queue", position.line != first.position.line else {
            return source.error(at: position, message)
        }
        return source.error(at: first.position, message)
    }

    /// For a word that stands where none of its kind can.
    func unexpected(_ words: [String], or more: String? = nil) -> ConfigurationError {
        let expected = "Expected \(Suggestion.list(words + (more.map { [$0] } ?? [])))."
        guard let current else { return error("the statement ends too early. \(expected)") }
        guard let keyword = current.keyword else { return error("\(current.shown) can't stand here. \(expected)") }
        let near = Suggestion.text(for: keyword, among: words)
        return error("unknown word \(current.shown). \(expected)\(near)")
    }

    /// For a value that is missing.
    func missing(_ what: String) -> ConfigurationError {
        guard let current else { return error("the statement ends where \(what) is expected.") }
        return error("\(current.shown) stands where \(what) is expected.")
    }

    /// A feature of smtpd.conf(5), or a planned one, that does not work yet. Never skipped: a configuration means what
    /// it says or is refused.
    func unsupported(_ subject: String, _ cure: String) -> ConfigurationError {
        unsupported(at: position, subject, cure)
    }

    func unsupported(at place: Position, _ subject: String, _ cure: String) -> ConfigurationError {
        error(at: place, "\(subject) not supported by this release of Pouch; \(cure).")
    }
}
