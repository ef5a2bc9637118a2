// Owns: the words and signs of the grammar. Refuses: reading them (Lexer), their meaning (the statements).

struct Token: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// A bare word; only these can be keywords.
        case word(String)
        /// Between quotes, which are gone.
        case quoted(String)
        /// `<name>`.
        case reference(String)
        case leftBrace, rightBrace, comma, equals, bang
        /// The end of a line between braces, where it separates like a comma.
        case newline
    }
    var kind: Kind
    var position: Position

    /// The text of a word, quoted or bare.
    var text: String? {
        switch kind {
        case .word(let text), .quoted(let text): text
        case .reference, .leftBrace, .rightBrace, .comma, .equals, .bang, .newline: nil
        }
    }

    /// The text of a bare word.
    var keyword: String? {
        if case .word(let text) = kind { text } else { nil }
    }

    /// As errors name it. The text of a user's file is shown as it is: it is the user's own.
    var shown: String {
        switch kind {
        case .word(let text), .quoted(let text): "\"\(text.prefix(60))\""
        case .reference(let name): "<\(name.prefix(60))>"
        case .leftBrace: "\"{\""
        case .rightBrace: "\"}\""
        case .comma: "a comma"
        case .equals: "\"=\""
        case .bang: "\"!\""
        case .newline: "the end of the line"
        }
    }
}

/// The tokens of one statement.
struct Statement: Sendable {
    var tokens: [Token]
    /// Just past the last token.
    var end: Position
}
