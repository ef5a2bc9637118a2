// Owns: the last step of every program: whatever a command throws becomes one sentence and one sysexits status.
// Refuses: knowing any command, and ArgumentParser (CommandArguments): it brings FoundationEssentials, five megabytes
// that mail-enqueue has no use for.

import Glibc
import MailModel
import SystemPackage

/// A `main.swift` holds one line: `CommandMain.run(Supervise.self)` (with CommandArguments), or hands over a closure.
public enum CommandMain {
    /// How a program ends: what it prints where, and its status.
    public struct Ending: Hashable, Sendable {
        public var status: ExitStatus
        /// For stdout: help or the version.
        public var output = ""
        /// For stderr, without the program's name; empty when there is nothing to say.
        public var sentence = ""
        /// Lines below the sentence, as they stand.
        public var details: [String] = []

        public init(_ status: ExitStatus, output: String = "", sentence: String = "") {
            (self.status, self.output, self.sentence) = (status, output, sentence)
        }

        fileprivate init(_ failure: any StatedFailure) {
            status = ExitStatus(rawValue: failure.exitStatus) ?? .software
            sentence = failure.statement.first ?? "\(failure)"
            details = Array(failure.statement.dropFirst())
        }
    }

    /// Runs a program that reads its arguments itself, as mail-enqueue does with sendmail's, and ends the process.
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
        case let stated as any StatedFailure: Ending(stated)
        default: Ending(.software, sentence: "internal fault: \(error). Please report it.")
        }
    }

    /// A reader that goes away must come back as an error of write(2), not kill the program in the middle of a step.
    package static func prepare() { Signals.ignoreBrokenPipes() }

    package static func end(_ ending: Ending) -> Never {
        var status = ending.status
        if !ending.sentence.isEmpty { Diagnostic.print(lines: [ending.sentence] + ending.details) }
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
