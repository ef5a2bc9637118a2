// Owns: `table ...`. Refuses: opening tables (Tables).

extension Parser {
    mutating func parseTable(_ cursor: inout Cursor) throws(ConfigurationError) {
        cursor.advance()
        let start = cursor.position
        let name = try cursor.word("a table's name")
        if let first = tablePositions[name] {
            throw error(
                at: start, "table \"\(name.prefix(60))\" is defined twice, first in \(place(first.name)). Rename one.")
        }
        guard name.utf8.count <= 64, name.utf8.allSatisfy({ (33...126).contains($0) }) else {
            throw error(at: start, "a table's name has 1 to 64 printable characters without blanks.")
        }
        guard cursor.current?.kind == .leftBrace else {
            define(name, try tablePlace(&cursor), at: start, entries: [])
            return
        }
        let braces = try cursor.braces()
        try defineInPlace(name, braces, at: start)
    }

    /// A table from what stands between braces.
    mutating func defineInPlace(_ name: String, _ braces: Braces, at start: Position) throws(ConfigurationError) {
        var seen: Set<String> = []
        for item in braces.items where !seen.insert(item.key).inserted {
            throw error(at: item.position, "the key \"\(item.key.prefix(60))\" stands in this table twice. Keep one.")
        }
        let entries = braces.items.map { TableDefinition.Entry(key: $0.key, value: $0.value ?? "") }
        define(
            name, braces.isMapping ? .mapping(entries) : .list(entries.map(\.key)), at: start,
            entries: braces.items.map(\.position))
    }

    private mutating func define(_ name: String, _ table: TableDefinition, at start: Position, entries: [Position]) {
        configuration.tables[name] = table
        tablePositions[name] = TablePlaces(name: start, entries: entries)
        configuration.tableOrigins[name] = TableOrigin(
            file: sources[start.file].path, line: start.line, entryLines: entries.map(\.line))
    }

    /// `/path`, `file:/path`, `db:/path`, `getpwnam`, `proc:"/program words"`, and any other type with what its program
    /// is to be told.
    private func tablePlace(_ cursor: inout Cursor) throws(ConfigurationError) -> TableDefinition {
        let start = cursor.position
        let text = try cursor.word("a path, or entries between braces")
        guard !text.hasPrefix("/") else { return .file(try path(text, at: start, cursor)) }
        guard let colon = text.firstIndex(of: ":") else {
            if text == "getpwnam" { return .systemUsers }
            // Without a type it can only be a path.
            return .file(try path(text, at: start, cursor))
        }
        let type = String(text[..<colon])
        var rest = String(text[text.index(after: colon)...])
        // `proc:"..."`: the quotes begin a word of their own.
        if rest.isEmpty, case .quoted(let quoted) = cursor.current?.kind {
            cursor.advance()
            rest = quoted
        }
        switch type {
        case "file", "static": return .file(try path(rest, at: start, cursor))
        case "db": return .database(try path(rest, at: start, cursor))
        case "getpwnam":
            guard rest.isEmpty else {
                throw cursor.error(at: start, "getpwnam takes nothing behind it: the system knows where its users are.")
            }
            return .systemUsers
        case "proc", "proc-exec": return .program(try command(rest, at: start, cursor))
        default: return .program(try program(type, rest, at: start, cursor))
        }
    }

    private func path(_ text: String, at start: Position, _ cursor: Cursor) throws(ConfigurationError) -> String {
        if let wrong = Values.wrongPath(text) { throw cursor.error(at: start, "the path of the table \(wrong)") }
        return text
    }

    private func command(
        _ text: String, at start: Position, _ cursor: Cursor
    ) throws(ConfigurationError) -> TableProgram {
        let words = text.split(separator: " ").map(String.init)
        guard let path = words.first else {
            throw cursor.error(at: start, "the path of the table's program is missing: write proc:\"/path words\".")
        }
        if let wrong = Values.wrongPath(path) {
            throw cursor.error(at: start, "the path of the table's program \(wrong)")
        }
        return .command(path: path, arguments: Array(words.dropFirst()))
    }

    private func program(
        _ type: String, _ rest: String, at start: Position, _ cursor: Cursor
    ) throws(ConfigurationError) -> TableProgram {
        // It becomes a part of a file's name.
        guard (1...32).contains(type.utf8.count), type.utf8.allSatisfy({ Lexer.isNameByte($0) || $0 == 45 }) else {
            throw cursor.error(
                at: start,
                "\"\(type.prefix(40))\" is no type of tables. Expected file, db, getpwnam, proc or the type of a "
                    + "program.")
        }
        return .type(type, configuration: rest)
    }
}
