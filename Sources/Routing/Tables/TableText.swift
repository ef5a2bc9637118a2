// Owns: the text of file tables, table(5). Refuses: opening files, what entries mean.

/// `key value` or `key: value`, or one key a line; `#` at the start of a line begins a comment; a line of a mapping that
/// begins with a blank goes on with the entry before it. The first entry decides whether the table is a list, and
/// `# @list` above it says so.
struct TableText {
    /// A million entries take a gigabyte at worst; more belong into a database.
    static let entryLimit = 1_000_000
    /// Octets of one value, its continuation lines included.
    static let valueLimit = 64 << 10

    private let source: SourceText
    private let table: String
    private let limit: Int
    private var entries: [TableEntry] = []
    private var isList: Bool?
    private var seen: [String: Int] = [:]

    /// - Parameter limit: of the number of entries.
    /// - Throws: the first mistake, with its line.
    static func entries(
        _ source: SourceText, table: String, limit: Int = entryLimit
    ) throws(ConfigurationError) -> [TableEntry] {
        var reader = TableText(source: source, table: table, limit: limit)
        return try reader.read()
    }

    private init(source: SourceText, table: String, limit: Int) {
        (self.source, self.table, self.limit) = (source, table, limit)
    }

    private mutating func read() throws(ConfigurationError) -> [TableEntry] {
        for number in 1...source.lineCount {
            let line = source.line(number)
            guard !line.utf8.contains(where: { $0 < 32 && $0 != 9 || $0 == 127 }) else {
                throw error(number, "a control character stands in this line. Remove it.")
            }
            let text = Self.trimmed(line[...])
            if text.isEmpty { continue }
            if text.first == "#" {
                if isList == nil, Self.trimmed(text.dropFirst()) == "@list" { isList = true }
                continue
            }
            let indented = line.first == " " || line.first == "\t"
            try take(text, indented: indented, number)
        }
        try finishEntry()
        return entries
    }

    private mutating func take(_ text: Substring, indented: Bool, _ number: Int) throws(ConfigurationError) {
        let isList = self.isList ?? Self.looksLikeList(text)
        self.isList = isList
        if isList { return try addKey(text, number) }
        guard indented else {
            try finishEntry()
            return try addPair(text, number)
        }
        guard let last = entries.indices.last else {
            throw error(number, "a line that begins with a blank goes on with an entry, and there is none before it.")
        }
        let value = entries[last].value ?? ""
        guard value.utf8.count + text.utf8.count < Self.valueLimit else {
            throw error(number, "the entry is too long.")
        }
        entries[last].value = value.isEmpty ? String(text) : "\(value) \(text)"
    }

    /// A key without a value is a mistake only when no continuation brought one.
    private func finishEntry() throws(ConfigurationError) {
        guard let last = entries.last, last.value == "" else { return }
        throw error(last.line ?? 1, "the key \"\(last.key.prefix(60))\" has no value. Write it behind the key.")
    }

    private mutating func addKey(_ text: Substring, _ number: Int) throws(ConfigurationError) {
        let quoted = text.count >= 2 && text.first == "\"" && text.last == "\""
        guard quoted || !text.contains(where: { $0 == " " || $0 == "\t" }) else {
            throw error(
                number, "a list has one entry a line, and this line has more. The table's first entry makes it a list.")
        }
        try add(TableEntry(table: table, key: String(quoted ? text.dropFirst().dropLast() : text), value: nil), number)
    }

    private mutating func addPair(_ text: Substring, _ number: Int) throws(ConfigurationError) {
        guard let (key, rest) = Self.splitKey(text), !key.isEmpty else {
            throw error(number, "a key is missing, or its quote is not closed.")
        }
        guard rest.utf8.count < Self.valueLimit else { throw error(number, "the entry is too long.") }
        try add(TableEntry(table: table, key: key, value: String(rest)), number)
    }

    private mutating func add(_ entry: TableEntry, _ number: Int) throws(ConfigurationError) {
        guard entries.count < limit else {
            throw error(number, "more than \(limit) entries. Build a database from them, and name that.")
        }
        if let first = seen[entry.key] {
            // Twice in a list is once; twice in a mapping leaves open which is meant.
            guard entry.value != nil else { return }
            throw error(
                number, "the key \"\(entry.key.prefix(60))\" stands here again; first in line \(first). Keep one.")
        }
        seen[entry.key] = number
        entries.append(TableEntry(table: table, key: entry.key, value: entry.value, file: source.path, line: number))
    }

    // MARK: Lines

    /// A line without a value: one word without a colon, or an address or network, whose colons are its own.
    private static func looksLikeList(_ text: Substring) -> Bool {
        Network(text) != nil || !text.utf8.contains { $0 == 58 || $0 == 32 || $0 == 9 }
    }

    /// The key, without its quotes, and the value. A key ends at a blank or a colon, but brackets and IPv6 addresses
    /// keep their colons.
    private static func splitKey(_ text: Substring) -> (String, Substring)? {
        var end = text.utf8.firstIndex { $0 == 32 || $0 == 9 || $0 == 58 } ?? text.endIndex
        var key = text[..<end]
        if text.first == "\"" {
            guard let quote = text.dropFirst().firstIndex(of: "\"") else { return nil }
            key = text[text.index(after: text.startIndex)..<quote]
            end = text.index(after: quote)
            if text[end...].first == "@" {
                // A quoted local-part: the quotes belong to the address.
                end = text[end...].utf8.firstIndex { $0 == 32 || $0 == 9 || $0 == 58 } ?? text.endIndex
                key = text[..<end]
            }
        } else if text.first == "[", let bracket = text.firstIndex(of: "]") {
            end = text.index(after: bracket)
            key = text[..<end]
        } else {
            let word = Substring(text.utf8.prefix { $0 != 32 && $0 != 9 })
            if word.utf8.contains(58), Network(word) != nil { (key, end) = (word, word.endIndex) }
        }
        var rest = trimmed(text[end...])
        if rest.first == ":" { rest = trimmed(rest.dropFirst()) }
        return (String(key), rest)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var octets = text.utf8.drop { $0 == 32 || $0 == 9 }
        while octets.last == 32 || octets.last == 9 { octets.removeLast() }
        return Substring(octets)
    }

    private func error(_ number: Int, _ message: String) -> ConfigurationError {
        let indent = source.line(number).prefix { $0 == " " || $0 == "\t" }.count
        return source.error(at: Position(file: 0, line: number, column: indent + 1), message)
    }
}
