// Owns: the places where a statement takes `<name>`, a value, or values between braces. Refuses: what they mean there.

/// What stands between braces.
struct Braces {
    struct Item {
        var key: String
        var value: String?
        var position: Position
    }
    var items: [Item]
    var open: Position

    /// Whether the items have values; an empty pair of braces has none.
    var isMapping: Bool { items.first?.value != nil }
}

enum TableArgument {
    case named(String, Position)
    case braces(Braces)

    var position: Position {
        switch self {
        case .named(_, let position): position
        case .braces(let braces): braces.items.first?.position ?? braces.open
        }
    }
}

extension Cursor {
    /// Whether what stands here can only be a table or a value: no bare word.
    var beginsTable: Bool {
        switch current?.kind {
        case .reference, .leftBrace, .quoted: true
        case .word, .rightBrace, .comma, .equals, .bang, .newline, nil: false
        }
    }

    /// Entries of one pair of braces at most: more belong into a file.
    static let braceLimit = 10_000

    /// `<name>`, `{ ... }`, or one value, which is a list of one.
    mutating func tableArgument(_ what: String) throws(ConfigurationError) -> TableArgument {
        guard let current else { throw missing(what) }
        switch current.kind {
        case .reference(let name):
            advance()
            return .named(name, current.position)
        case .leftBrace: return .braces(try braces())
        case .word, .quoted:
            let item = Braces.Item(key: try word(what), value: nil, position: current.position)
            return .braces(Braces(items: [item], open: current.position))
        case .rightBrace, .comma, .equals, .bang, .newline: throw missing(what)
        }
    }

    /// `{ a, b }` or `{ k = v, k = v }`. As in smtpd.conf(5) a blank separates as well as a comma; so does a line's end.
    mutating func braces() throws(ConfigurationError) -> Braces {
        var braces = Braces(items: [], open: position)
        advance()
        skipNewlines()
        while !take(.rightBrace) {
            let item = try braceItem()
            if let first = braces.items.first, (first.value == nil) != (item.value == nil) {
                throw error(at: item.position, "keys with values and keys without stand between the same braces.")
            }
            braces.items.append(item)
            guard braces.items.count <= Self.braceLimit else {
                throw error(at: item.position, "more than \(Self.braceLimit) entries. Put them into a file table.")
            }
            skipNewlines()
            _ = take(.comma)
            skipNewlines()
        }
        return braces
    }

    private mutating func braceItem() throws(ConfigurationError) -> Braces.Item {
        let start = position
        let key = try word("an entry")
        guard take(.equals) else { return Braces.Item(key: key, value: nil, position: start) }
        skipNewlines()
        return Braces.Item(key: key, value: try word("the value of \"\(key.prefix(40))\""), position: start)
    }

    private mutating func skipNewlines() {
        while take(.newline) {}
    }

    /// The items of a list; a mapping is refused.
    func list(_ braces: Braces, _ what: String) throws(ConfigurationError) -> [Braces.Item] {
        guard let item = braces.items.first, braces.isMapping else { return braces.items }
        throw error(
            at: item.position, "\(what) takes a list, not keys with values. Remove the \"=\" and what follows it.")
    }
}
