// Owns: running a command that ArgumentParser parses, in our voice and with our statuses. Refuses: what every program
// shares (CommandKit).

import ArgumentParser
import CommandKit

extension CommandMain {
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
}
