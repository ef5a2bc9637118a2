// Owns: what is wrong with a configuration, told so that a person can mend it. Refuses: finding it (Grammar).

import MailModel

/// One mistake in a configuration. Its description is
/// `file:line:column: sentence`, then the line itself, then a caret under the place:
///
///     pouch.conf:3:8: unknown word "prot". Expected port, hostname or tag. Did you mean "port"?
///     listen on 127.0.0.1 prot 25
///                         ^
///
/// A mistake of the file as a whole (it can't be read) has line 0 and prints `file: sentence` alone.
public struct ConfigurationError: StatedFailure, Hashable, Sendable, CustomStringConvertible {
    public let file: String
    /// From 1; 0 when the whole file is meant.
    public let line: Int
    /// From 1, counted in characters of the line, a tab being one.
    public let column: Int
    /// The line, shortened around the place when it is long, tabs as blanks, without secrets and control characters.
    public let sourceLine: String
    /// What is wrong and what to do.
    public let message: String
    /// The blanks before the caret.
    let indent: String
    /// What is wrong besides: all that a release does not support is told at once.
    public private(set) var further: [ConfigurationError] = []

    /// Others told after this one; more than anybody reads.
    static let furtherLimit = 50

    public init(file: String, message: String) {
        (self.file, self.line, self.column, self.sourceLine, self.indent) = (file, 0, 0, "", "")
        self.message = message
    }

    init(at position: Position, in source: SourceText, message: String) {
        (file, line, column) = (source.path, position.line, position.column)
        // The lines behind a backslash are as secret as their statement's first.
        let shown = source.holdsSecret(position.line) ? source.statementLine(position.line) : position.line
        (sourceLine, indent) = Excerpt.of(source.line(shown), column: position.column)
        self.message = message
    }

    /// One line, or three: the sentence, the source line, the caret; then those of what is wrong besides.
    public var lines: [String] {
        let own =
            line > 0 ? ["\(file):\(line):\(column): \(message)", sourceLine, "\(indent)^"] : ["\(file): \(message)"]
        return own + further.flatMap(\.lines)
    }

    func followed(by others: some Collection<ConfigurationError>) -> ConfigurationError {
        var error = self
        error.further = Array(others.prefix(Self.furtherLimit))
        return error
    }

    /// EX_CONFIG.
    public var exitStatus: Int32 { 78 }
    public var statement: [String] { lines }

    public var description: String { lines.joined(separator: "\n") }
}

/// The part of a source line that an error shows.
enum Excerpt {
    /// Characters shown at most, half of them before the place: enough for a terminal and two wraps.
    static let width = 200

    static func of(_ line: String, column: Int) -> (line: String, indent: String) {
        let hidden = withoutSecret(line)
        var scalars = hidden.text.unicodeScalars.map { printable($0) }
        var index = max(0, column - 1)
        if hidden.changed { index = min(index, max(0, scalars.count - 1)) }
        if scalars.count > width {
            let start = min(max(0, index - width / 2), scalars.count - width)
            scalars = Array(scalars[start..<(start + width)])
            index -= start
        }
        return (text(scalars), String(repeating: " ", count: max(0, index)))
    }

    private static func text(_ scalars: [Unicode.Scalar]) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    /// Controls and marks that turn the direction of writing would act on a terminal and move the caret.
    private static func printable(_ scalar: Unicode.Scalar) -> Unicode.Scalar {
        switch scalar.value {
        case 9: " "
        case 0..<32, 127..<160, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: "?"
        default: scalar
        }
    }

    /// Passphrases stand in these statements; an error about one must not carry it into a log.
    private static func withoutSecret(_ line: String) -> (text: String, changed: Bool) {
        guard let begin = beginOfSecret(line) else { return (line, false) }
        return ("\(begin) ...", true)
    }

    static func holdsSecret(_ line: String) -> Bool { beginOfSecret(line) != nil }

    /// The words before what may be a passphrase; nil when none is there. A misspelt word before it hides it too.
    private static func beginOfSecret(_ line: String) -> String? {
        var rest = Substring(line)
        func word() -> Substring {
            rest = rest.drop { $0 == " " || $0 == "\t" }
            let word = rest.prefix { $0.isLetter || $0 == "-" }
            rest = rest.dropFirst(word.count)
            return word
        }
        let (first, second) = (word(), word())
        guard rest.contains(where: { $0 != " " && $0 != "\t" }) else { return nil }
        let isEncryption = second.hasPrefix("en") || second.contains("ryp")
        guard isEncryption || (first == "srs" && second == "key") else { return nil }
        return "\(first) \(second)"
    }
}
