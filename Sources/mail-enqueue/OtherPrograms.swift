// Owns: the tasks of sendmail(8) that another program of Pouch does: it takes this one's place, with the caller's
// rights. Refuses: the tasks themselves.

import CommandKit
import Glibc
import SystemPackage

struct OtherProgram {
    let name: String
    let words: [String]

    /// nil for the tasks of this program itself.
    init?(for arguments: SendmailArguments) {
        let configuration = arguments.configuration.map { ["-C", $0] } ?? []
        switch arguments.task {
        case .list: (name, words) = ("mail-queue", ["list"] + configuration)
        case .flush(let limits): (name, words) = ("mail-queue", ["flush"] + configuration + limits)
        case .rebuildAliases: (name, words) = ("mail-expand", ["build"] + configuration)
        case .submit, .help, .version: return nil
        }
    }

    /// Returns only by an error.
    func execute() throws(CommandFailure) {
        let path = try ProgramPaths.executableSibling(name)
        var pointers = ([name] + words).map { strdup($0) }
        defer { pointers.forEach { free($0) } }
        guard !pointers.contains(where: { $0 == nil }) else {
            throw CommandFailure(.osError, "run \(path)", .noMemory)
        }
        pointers.append(nil)
        // An ignored signal stays ignored across execve(2); the other program decides for itself.
        _ = signal(SIGPIPE, SIG_DFL)
        _ = execv(path, pointers)
        throw CommandFailure(.osFile, "run \(path)", Errno(rawValue: errno))
    }
}
