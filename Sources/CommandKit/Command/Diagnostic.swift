// Owns: how a program tells a person what went wrong, and the error that carries it. Refuses: logs (Output).

import Glibc
import SystemPackage

/// An error that is ready for a person: an exit status and a sentence that says what failed, on what, why, and what
/// to do. Text of users or peers inside it needs no care: it is escaped where it is shown.
///
/// ```swift
/// throw CommandFailure(.noPermission, "cannot open \(path): permission denied. Run as a member of group pouch.")
/// ```
public struct CommandFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public let status: ExitStatus
    public let sentence: String

    public init(_ status: ExitStatus, _ sentence: String) {
        (self.status, self.sentence) = (status, sentence)
    }

    /// For a failed system call: `cannot <operation>: <errno's text>. <cure>`.
    public init(_ status: ExitStatus, _ operation: String, _ cause: Errno, cure: String? = nil) {
        self.init(status, "cannot \(operation): \(cause.phrase)." + (cure.map { " \($0)" } ?? ""))
    }

    public var description: String { sentence }
}

/// Ends the program with a status and without a word: the result on stdout already said it.
public struct QuietExit: Error, Hashable, Sendable {
    public let status: ExitStatus
    public init(_ status: ExitStatus) { self.status = status }
}

public enum Diagnostic {
    /// `name: sentence` on one line, escaped, with its line end.
    public static func line(_ sentence: String, program: String) -> String {
        "\(EscapedText.plain(program)): \(EscapedText.plain(sentence))\n"
    }

    /// Prints a sentence on stderr. When stderr cannot be written there is nobody left to tell.
    public static func print(_ sentence: String, program: String = ProgramPaths.name) {
        write(line(sentence, program: program))
    }

    /// Prints several lines as they stand (a caret under a line of a file, say), controls other than line ends escaped.
    public static func print(lines: [String], program: String = ProgramPaths.name) {
        guard let first = lines.first else { return }
        let rest = lines.dropFirst().map { EscapedText.plain($0) + "\n" }
        write(line(first, program: program) + rest.joined())
    }

    /// Overwrites the line of the terminal that stderr is; `endProgress` goes on below it.
    public static func progress(_ text: String) { write("\r\(EscapedText.plain(text))\u{1B}[K") }
    public static func endProgress() { write("\n") }

    private static func write(_ text: String) {
        _ = Result { try FileDescriptor.standardError.writeAll(text.utf8) }
    }
}

extension Errno {
    /// The text of errno(3) as it reads inside a sentence: `permission denied`.
    public var phrase: String {
        let text = description
        guard let first = text.first, text.dropFirst().first?.isUppercase != true else { return text }
        return first.lowercased() + text.dropFirst()
    }

    /// errno as the last call left it; read it before any other call.
    static var last: Errno { Errno(rawValue: errno) }
}
