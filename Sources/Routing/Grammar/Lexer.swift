// Owns: cutting text into statements of tokens: words, quotes, comments, lines that go on, macros put in. Refuses:
// defining macros (the parser does, as it meets them), meaning.

/// Reads one file, or the value of one macro. As in smtpd.conf(5): a statement ends with its line unless a brace is
/// open or the line ends with a backslash; `=>` is `=`; `#` begins a comment; `$name` is replaced by the macro's text, which is read
/// again as bare text but not expanded again.
struct Lexer {
    /// The longest value of a macro, octets: longer ones belong into a table.
    static let macroValueLimit = 4096
    /// All macro text put into one file, octets: it bounds the memory that a
    /// short file can ask for.
    static let expansionLimit = 1 << 20

    private let source: SourceText
    private let bytes: [UInt8]
    /// The place of the `$name` whose value is being read; nil in a file.
    private let use: Position?
    private var offset = 0
    private var here: Position
    private var expandedBytes = 0

    init(_ source: SourceText, fileIndex: Int) {
        self.source = source
        bytes = source.bytes
        use = nil
        here = Position(file: fileIndex, line: 1, column: 1)
    }

    private init(value: String, usedAt position: Position, in source: SourceText) {
        self.source = source
        bytes = Array(value.utf8)
        use = position
        here = position
    }

    /// The next statement that is not empty; nil at the end of the text.
    mutating func next(macros: [String: String]) throws(ConfigurationError) -> Statement? {
        var tokens: [Token] = []
        var open: [Position] = []
        while true {
            try skipBlanks()
            guard let byte = peek else {
                if let brace = open.last { throw error(at: brace, "this brace is never closed. Add \"}\".") }
                return tokens.isEmpty ? nil : Statement(tokens: tokens, end: here)
            }
            if byte == UInt8(ascii: "\n") {
                let end = here
                advance()
                if !open.isEmpty {
                    tokens.append(Token(kind: .newline, position: end))
                } else if !tokens.isEmpty {
                    return Statement(tokens: tokens, end: end)
                }
                continue
            }
            for token in try read(macros: macros) {
                try track(token, open: &open)
                tokens.append(token)
            }
        }
    }

    private func track(_ token: Token, open: inout [Position]) throws(ConfigurationError) {
        if token.kind == .leftBrace {
            guard open.isEmpty else { throw error(at: token.position, "a brace inside braces. Remove one of them.") }
            open.append(token.position)
        }
        guard token.kind == .rightBrace else { return }
        guard open.popLast() != nil else {
            throw error(at: token.position, "this \"}\" closes nothing. Remove it, or add the \"{\" before it.")
        }
    }

    /// One token, or those that a macro stands for.
    private mutating func read(macros: [String: String]) throws(ConfigurationError) -> [Token] {
        let start = here
        guard let byte = peek else { return [] }
        switch byte {
        case UInt8(ascii: "$"): return try readMacro(macros)
        case UInt8(ascii: "\""), UInt8(ascii: "'"): return [Token(kind: .quoted(try readQuoted(byte)), position: start)]
        case UInt8(ascii: "<"): return [Token(kind: .reference(try readReference()), position: start)]
        case UInt8(ascii: "{"): return [sign(.leftBrace)]
        case UInt8(ascii: "}"): return [sign(.rightBrace)]
        case UInt8(ascii: ","): return [sign(.comma)]
        case UInt8(ascii: "="):
            let token = sign(.equals)
            if peek == UInt8(ascii: ">") { advance() }
            return [token]
        case UInt8(ascii: "!"): return [sign(.bang)]
        case UInt8(ascii: ">"): throw error(at: start, "a \">\" without a \"<\" before it. Tables are written <name>.")
        case UInt8(ascii: "\\"):
            throw error(at: start, "a backslash outside quotes must be the last character of its line.")
        default: return [Token(kind: .word(try readWord()), position: start)]
        }
    }

    private mutating func sign(_ kind: Token.Kind) -> Token {
        let token = Token(kind: kind, position: here)
        advance()
        return token
    }

    private mutating func readWord() throws(ConfigurationError) -> String {
        var word: [UInt8] = []
        while let byte = peek, byte > 32, !"{}<>!=#,\"'\\".utf8.contains(byte) {
            guard byte != UInt8(ascii: "$") else {
                throw error(
                    at: here, "a macro can't stand inside a word. Define a macro for the whole word, or quote it.")
            }
            guard byte != 127 else { throw controlCharacter() }
            word.append(byte)
            advance()
        }
        guard !word.isEmpty else { throw controlCharacter() }
        return String(decoding: word, as: UTF8.self)
    }

    /// As in smtpd.conf(5): a backslash takes a quote or a blank as it is, goes with the end of its line, and stays before
    /// anything else.
    private mutating func readQuoted(_ quote: UInt8) throws(ConfigurationError) -> String {
        let start = here
        var text: [UInt8] = []
        advance()
        while let byte = peek, byte != UInt8(ascii: "\n") {
            if let length = continuationLength {
                for _ in 0..<length { advance() }
                continue
            }
            if byte == quote {
                advance()
                return String(decoding: text, as: UTF8.self)
            }
            guard byte == 9 || (byte >= 32 && byte != 127) else { throw controlCharacter() }
            advance()
            if byte == UInt8(ascii: "\\"), let next = peek, next == quote || next == 32 || next == 9 {
                text.append(next)
                advance()
            } else {
                text.append(byte)
            }
        }
        throw error(
            at: start, "this quote is not closed on its line. Add the closing \(Character(Unicode.Scalar(quote))).")
    }

    private mutating func readReference() throws(ConfigurationError) -> String {
        let start = here
        advance()
        try skipBlanks()
        var name: [UInt8] = []
        while let byte = peek, byte > 32, byte != UInt8(ascii: ">"), byte != UInt8(ascii: "<") {
            name.append(byte)
            advance()
        }
        try skipBlanks()
        guard peek == UInt8(ascii: ">"), !name.isEmpty else {
            throw error(at: start, "a table's name stands between \"<\" and \">\", as in <aliases>.")
        }
        advance()
        return String(decoding: name, as: UTF8.self)
    }

    private mutating func readMacro(_ macros: [String: String]) throws(ConfigurationError) -> [Token] {
        let start = here
        advance()
        var bytes: [UInt8] = []
        while let byte = peek, Self.isNameByte(byte) {
            bytes.append(byte)
            advance()
        }
        let name = String(decoding: bytes, as: UTF8.self)
        // Perhaps a passphrase without quotes.
        guard macros[name] != nil || !source.holdsSecret(start.line) else {
            throw error(at: start, "this macro is not defined. Define it above, or put the passphrase in quotes.")
        }
        guard use == nil else {
            throw error(at: start, "the macro's value holds \"$\(name)\", and macros are not expanded twice.")
        }
        guard !name.isEmpty else { throw error(at: start, "\"$\" needs the name of a macro after it.") }
        guard let value = macros[name] else {
            let near = Suggestion.text(for: name, among: Array(macros.keys))
            throw error(
                at: start, "macro \"\(name)\" is not defined. Write \(name) = \"value\" above this line.\(near)")
        }
        expandedBytes += value.utf8.count
        guard expandedBytes <= Self.expansionLimit else {
            throw error(at: start, "the macros of this file stand for more than 1 MiB of text. Use a table.")
        }
        return try Self.tokens(of: value, usedAt: start, in: source)
    }

    private static func tokens(
        of value: String, usedAt position: Position, in source: SourceText
    ) throws(ConfigurationError) -> [Token] {
        var lexer = Lexer(value: value, usedAt: position, in: source)
        var tokens: [Token] = []
        try lexer.skipBlanks()
        while lexer.peek != nil {
            tokens += try lexer.read(macros: [:])
            try lexer.skipBlanks()
        }
        return tokens
    }

    static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    // MARK: Characters

    private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func advance() {
        let byte = bytes[offset]
        offset += 1
        guard use == nil else { return }
        if byte == UInt8(ascii: "\n") {
            here.line += 1
            here.column = 1
        } else if offset >= bytes.count || bytes[offset] & 0xC0 != 0x80 {
            here.column += 1
        }
    }

    /// Blanks, comments and the ends of lines that go on. A comment goes on with its line, as in smtpd.conf(5).
    private mutating func skipBlanks() throws(ConfigurationError) {
        while let byte = peek {
            if byte == 32 || byte == 9 || (byte == 13 && following(1) == 10) {
                advance()
            } else if let length = continuationLength {
                for _ in 0..<length { advance() }
            } else if byte == UInt8(ascii: "#") {
                skipComment()
            } else {
                return
            }
        }
    }

    private mutating func skipComment() {
        while let byte = peek, byte != UInt8(ascii: "\n") {
            for _ in 0..<(continuationLength ?? 1) { advance() }
        }
    }

    /// The octets of a backslash with the line end behind it, when one begins here.
    private var continuationLength: Int? {
        guard peek == UInt8(ascii: "\\") else { return nil }
        if following(1) == 10 { return 2 }
        return following(1) == 13 && following(2) == 10 ? 3 : nil
    }

    private func following(_ distance: Int) -> UInt8? {
        offset + distance < bytes.count ? bytes[offset + distance] : nil
    }

    private func controlCharacter() -> ConfigurationError {
        error(at: here, "a control character stands here. Remove it.")
    }

    private func error(at position: Position, _ message: String) -> ConfigurationError {
        source.error(at: position, message)
    }
}
