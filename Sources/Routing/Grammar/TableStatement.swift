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
            let file = try tableFile(&cursor)
            define(name, .file(file), at: start, entries: [])
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

    /// `/path`, `file:/path`; other types are known and refused.
    private func tableFile(_ cursor: inout Cursor) throws(ConfigurationError) -> String {
        let start = cursor.position
        let text = try cursor.word("a path, or entries between braces")
        var path = text
        if !text.hasPrefix("/"), let colon = text.firstIndex(of: ":") {
            path = String(text[text.index(after: colon)...])
            try checkType(String(text[..<colon]), at: start, cursor)
        } else if text == "getpwnam" || text == "proc" || text == "proc-exec" {
            try checkType(text, at: start, cursor)
        }
        if let wrong = Values.wrongPath(path) { throw cursor.error(at: start, "the path of the table \(wrong)") }
        return path
    }

    private func checkType(_ type: String, at start: Position, _ cursor: Cursor) throws(ConfigurationError) {
        switch type {
        case "file", "static": return
        case "db":
            throw cursor.unsupported(
                at: start, "a db table is", "write file: and the path of the text it was built from")
        case "getpwnam":
            throw cursor.unsupported(
                at: start, "a getpwnam table is", "remove it and its \"userbase\"; the system's users are known anyway")
        default:
            throw cursor.unsupported(
                at: start, "a table from a program (type \"\(type.prefix(40))\") is",
                "write file: and the path of a text file")
        }
    }
}
