// Owns: asking a person at the terminal, without showing what is typed. Refuses: standard input, which may be a message
// or a list.

import Glibc
import QueueKit
import SystemPackage

enum TerminalPrompt {
    struct Failure: Error {
        /// The end of a sentence.
        var reason: String
    }

    static func ask(_ prompt: String, limit: Int) throws(Failure) -> Secret {
        let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard terminal >= 0 else {
            throw Failure(
                reason: "there is none. Name a source such as queue encryption key file, or start it by hand.")
        }
        defer { close(terminal) }
        return try hidden(terminal) { () throws(Failure) in
            _ = prompt.withCString { write(terminal, $0, strlen($0)) }
            defer { _ = write(terminal, "\n", 1) }
            return try line(terminal, limit)
        }
    }

    /// Signals that would end or stop the program wait until the terminal shows again what is typed.
    private static func hidden(_ terminal: Int32, _ body: () throws(Failure) -> Secret) throws(Failure) -> Secret {
        var before = termios()
        guard tcgetattr(terminal, &before) == 0 else {
            throw Failure(reason: "\(Errno(rawValue: errno).description.lowercased()).")
        }
        var (signals, old) = (sigset_t(), sigset_t())
        sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP] { sigaddset(&signals, signal) }
        pthread_sigmask(SIG_BLOCK, &signals, &old)
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO)
        tcsetattr(terminal, TCSAFLUSH, &silent)
        defer {
            tcsetattr(terminal, TCSAFLUSH, &before)
            pthread_sigmask(SIG_SETMASK, &old, nil)
        }
        return try body()
    }

    /// A terminal gives one line a read.
    private static func line(_ terminal: Int32, _ limit: Int) throws(Failure) -> Secret {
        let typed = try Secret(capacity: limit + 2) { (memory: UnsafeMutableRawBufferPointer) throws(Failure) in
            let count = read(terminal, memory.baseAddress, memory.count)
            guard count >= 0 else { throw Failure(reason: "\(Errno(rawValue: errno).description.lowercased()).") }
            return count
        }
        guard typed.count <= limit + 1 else { throw Failure(reason: "it is longer than \(limit) octets.") }
        return typed.prefix(typed.count)
    }
}
