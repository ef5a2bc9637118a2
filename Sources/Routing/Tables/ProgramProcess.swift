// Owns: a running program of a table: its process and the socket that is its standard input and output. Refuses: what
// is said over it (ProgramMachine), waiting for anything but its end.

import CLinux
import Glibc
import SystemPackage

/// Ends with this value: the program sees the end of its input, and is killed if that does not end it.
struct ProgramProcess: ~Copyable {
    /// Not blocking.
    let socket: Int32
    private let pid: pid_t

    /// Time for a program to end by itself at the end of its input.
    private static let patience = Duration.milliseconds(500)

    /// - Parameter table: what the program is called by (argv[0]), as smtpd-tables(7) has it.
    /// - Throws: goes on after "its program".
    init(path: String, arguments: [String], table: String) throws(UnreadableFile) {
        var pair: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, type, 0, &pair) == 0 else { throw Self.failed(errno) }
        defer { close(pair[1]) }
        var failure = pouch_spawn_failure()
        let child = Self.spawn(path, [table] + arguments, socket: pair[1], &failure)
        guard child > 0, fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0 else {
            let cause = child > 0 ? errno : failure.error
            close(pair[0])
            throw Self.failed(cause)
        }
        (socket, pid) = (pair[0], child)
    }

    deinit {
        shutdown(socket, Int32(SHUT_WR))
        _ = Self.end(pid)
        close(socket)
    }

    /// How it ended, for the log; it is killed if it has not ended by itself.
    consuming func end() -> String {
        shutdown(socket, Int32(SHUT_WR))
        let how = Self.end(pid)
        close(socket)
        discard self
        return how
    }

    private static func failed(_ cause: Int32) -> UnreadableFile {
        UnreadableFile("could not be started: \(Errno(rawValue: cause).description.lowercased())")
    }

    private static func end(_ pid: pid_t) -> String {
        var (code, signalled): (Int32, Int32) = (0, 0)
        let limit = ContinuousClock.now.advanced(by: patience)
        var ended = pouch_wait(pid, 1, &code, &signalled)
        while ended == 0, ContinuousClock.now < limit {
            // No descriptor tells of the end of a process that may have children with the same socket.
            poll(nil, 0, 5)
            ended = pouch_wait(pid, 1, &code, &signalled)
        }
        if ended == 0 {
            kill(pid, SIGKILL)
            _ = pouch_wait(pid, 0, &code, &signalled)
            return "closed its output and was killed"
        }
        // Somebody else of this process may have waited for it.
        guard ended == pid else { return "ended" }
        return signalled == 0 ? "ended with status \(code)" : "was ended by signal \(code)"
    }

    /// Its standard error stays ours. It ends with this thread, so not even a killed program of ours leaves it behind.
    private static func spawn(
        _ path: String, _ arguments: [String], socket: Int32, _ failure: inout pouch_spawn_failure
    ) -> pid_t {
        let from = [socket, socket, STDERR_FILENO]
        let to: [Int32] = [0, 1, 2]
        // A closed standard error can't be handed on.
        let pairs = fcntl(STDERR_FILENO, F_GETFD) < 0 ? 2 : 3
        return withCStrings(arguments) { argv in
            withCStrings(environment()) { envp in
                path.withCString { program in
                    from.withUnsafeBufferPointer { from in
                        to.withUnsafeBufferPointer { to in
                            var request = pouch_spawn_request()
                            request.path = program
                            request.argv = argv
                            request.envp = envp
                            request.from = from.baseAddress
                            request.to = to.baseAddress
                            request.pairs = pairs
                            request.group = Int32(POUCH_GROUP_NEW.rawValue)
                            request.death_signal = SIGKILL
                            return pouch_spawn(&request, &failure)
                        }
                    }
                }
            }
        }
    }

    /// No more of ours than what says where programs are and how to write: a variable may hold a secret.
    private static func environment() -> [String] {
        var variables = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        let names: [String] = ["LANG", "LC_ALL", "TZ"]
        for name in names {
            if let value = getenv(name) { variables.append("\(name)=\(String(cString: value))") }
        }
        return variables
    }
}

/// Strings as execve(2) wants them, for the time of the call.
private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    let pointers = strings.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    return pointers.withUnsafeBufferPointer { buffer in
        // Never empty: the last one is nil.
        withUnsafePointer(to: nil as UnsafeMutablePointer<CChar>?) { empty in body(buffer.baseAddress ?? empty) }
    }
}
