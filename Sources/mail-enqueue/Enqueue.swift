// Owns: which of its tasks the program was called for. Refuses: doing them.

import CommandKit
import Glibc

enum Enqueue {
    static func run(stdinIsClosed: Bool) throws -> ExitStatus {
        let arguments = try SendmailArguments.parse(try words(), calledAs: ProgramPaths.name)
        switch arguments.task {
        case .help: try StandardOutput.write(Usage.text)
        case .version: try StandardOutput.write("mail-enqueue \(Version.text)\n")
        case .list, .flush, .rebuildAliases: try OtherProgram(for: arguments)?.execute()
        case .submit:
            guard !stdinIsClosed else { throw MessageInput.closed }
            try submit(arguments)
        }
        return .success
    }

    private static func submit(_ arguments: SendmailArguments) throws {
        let submission = try Submission(arguments, settings: try SubmitSettings.find(option: arguments.configuration))
        var input = MessageInput(descriptor: STDIN_FILENO, endsAtLoneDot: !arguments.ignoresDots)
        let id = try submission.store(&input)
        guard arguments.printsID else { return }
        do {
            try StandardOutput.write("\(id)\n")
        } catch {
            // The message is durable: another status would make the caller send it twice.
            Diagnostic.print("the message is stored as \(id), but that could not be written to standard output.")
        }
    }

    /// The arguments without the program's name. An address in another encoding must not be changed by repairing it.
    private static func words() throws(CommandFailure) -> [String] {
        var words: [String] = []
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let bytes = CommandLine.unsafeArgv[index] else { break }
            guard let word = String(validatingCString: bytes) else {
                throw CommandFailure(
                    .usage, "argument \(index), \"\(String(cString: bytes))\", is not UTF-8. Give it in UTF-8.")
            }
            words.append(word)
        }
        return words
    }
}
