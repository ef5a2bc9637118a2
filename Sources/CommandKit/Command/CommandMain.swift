// Owns: the last step of every program: whatever a command throws becomes one sentence and one sysexits status.
// Refuses: knowing any command.

import ArgumentParser
import Glibc
import SystemPackage

/// A `main.swift` holds one line: `CommandMain.run(Supervise.self)`.
public enum CommandMain {
    /// How a program ends: what it prints where, and its status.
    public struct Ending: Hashable, Sendable {
        public var status: ExitStatus
        /// For stdout: help or the version.
        public var output = ""
        /// For stderr, without the program's name; empty when there is nothing to say.
        public var sentence = ""

        public init(_ status: ExitStatus, output: String = "", sentence: String = "") {
            (self.status, self.output, self.sentence) = (status, output, sentence)
        }
    }

    /// Parses the arguments, runs the command, ends the process.
    public static func run<Command: ParsableCommand>(_ type: Command.Type) -> Never {
        prepare()
        do {
            var command = try type.parseAsRoot(Array(CommandLine.arguments.dropFirst()))
            try command.run()
            end(Ending(.success))
        } catch {
            end(ending(for: error, of: type))
        }
    }

    /// The same for a command that awaits.
    public static func runAsync<Command: AsyncParsableCommand>(_ type: Command.Type) async -> Never {
        prepare()
        do {
            var command = try type.parseAsRoot(Array(CommandLine.arguments.dropFirst()))
            if var awaiting = command as? any AsyncParsableCommand {
                try await awaiting.run()
            } else {
                try command.run()
            }
            end(Ending(.success))
        } catch {
            end(ending(for: error, of: type))
        }
    }

    /// The same for a program that reads its arguments itself, as mail-enqueue does with sendmail's.
    public static func run(_ body: () throws -> ExitStatus) -> Never {
        prepare()
        do {
            end(Ending(try body()))
        } catch {
            end(ending(for: error))
        }
    }

    /// What an error that is no matter of arguments comes to.
    public static func ending(for error: any Error) -> Ending {
        switch error {
        case let failure as CommandFailure: Ending(failure.status, sentence: failure.sentence)
        case let quiet as QuietExit: Ending(quiet.status)
        default: Ending(.software, sentence: "internal fault: \(error). Please report it.")
        }
    }

    /// What an error of a parsed command comes to: ArgumentParser's own errors are requests for help (0, stdout),
    /// exit codes, or wrong usage (64).
    public static func ending<Command: ParsableCommand>(for error: any Error, of type: Command.Type) -> Ending {
        if error is CommandFailure || error is QuietExit { return ending(for: error) }
        if let code = error as? ExitCode {
            return Ending(ExitStatus(rawValue: code.rawValue) ?? .software)
        }
        let text = type.message(for: error)
        switch type.exitCode(for: error) {
        case .success: return Ending(.success, output: text.hasSuffix("\n") ? text : text + "\n")
        case .validationFailure: return Ending(.usage, sentence: usageSentence(text, command: type._commandName))
        default: return ending(for: error)
        }
    }

    /// ArgumentParser's message in our voice: lower case, a full stop, what to do.
    static func usageSentence(_ message: String, command: String) -> String {
        let first = message.split(separator: "\n").first.map(String.init) ?? "wrong arguments"
        let stops = first.last.map { ".!?".contains($0) } ?? false
        return first.prefix(1).lowercased() + first.dropFirst() + (stops ? "" : ".") + " See \(command) --help."
    }

    /// A reader that goes away must come back as an error of write(2), not kill the program in the middle of a step.
    private static func prepare() { Signals.ignoreBrokenPipes() }

    private static func end(_ ending: Ending) -> Never {
        var status = ending.status
        if !ending.sentence.isEmpty { Diagnostic.print(ending.sentence) }
        if !ending.output.isEmpty {
            do {
                try StandardOutput.write(ending.output)
            } catch {
                let failed = Self.ending(for: error)
                if !failed.sentence.isEmpty { Diagnostic.print(failed.sentence) }
                status = failed.status
            }
        }
        exit(status.rawValue)
    }
}
