// Owns: the text of one configuration file and places in it. Refuses: meaning.

/// A place in a configuration: `file` counts the files read, from 0; line and column from 1.
struct Position: Hashable, Sendable {
    var file: Int
    var line: Int
    var column: Int
}

/// One file of a configuration, as it was read.
struct SourceText: Sendable {
    let path: String
    let bytes: [UInt8]
    private let lineStarts: [Int]

    init(path: String, text: String) {
        self.path = path
        let bytes = Array(text.utf8)
        self.bytes = bytes
        lineStarts = [0] + bytes.indices.filter { bytes[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
    }

    var lineCount: Int { lineStarts.count }

    /// A line without its end; empty past the last.
    func line(_ number: Int) -> String {
        guard lineStarts.indices.contains(number - 1) else { return "" }
        let line = bytes[lineStarts[number - 1]...].prefix { $0 != UInt8(ascii: "\n") }
        return String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
    }

    /// The line where the statement of this line begins, over lines that end with a backslash.
    func statementLine(_ number: Int) -> Int {
        var number = number
        while number > 1, line(number - 1).hasSuffix("\\") { number -= 1 }
        return number
    }

    /// Whether a passphrase may stand in the statement of this line.
    func holdsSecret(_ number: Int) -> Bool { Excerpt.holdsSecret(line(statementLine(number))) }

    func error(at position: Position, _ message: String) -> ConfigurationError {
        ConfigurationError(at: position, in: self, message: message)
    }
}
