// Owns: a running child and how it ended. Refuses: starting it (ProcessLaunch), starting it again (Supervision).

import CLinux
import Glibc
import SystemPackage

/// How a process ended.
public enum ChildOutcome: Hashable, Sendable, CustomStringConvertible {
    /// 0 to 255.
    case exited(status: Int32)
    /// The number of the signal that ended it.
    case killed(signal: Int32)

    public var isSuccess: Bool { self == .exited(status: 0) }

    /// Reads after the name of a program: `ended with status 78 (the configuration is wrong)`.
    public var description: String {
        switch self {
        case .exited(let number):
            "ended with status \(number)" + (ExitStatus(rawValue: number).map { " (\($0.meaning))" } ?? "")
        case .killed(let number):
            "was ended by signal \(number)" + (strsignal(number).map { " (\(String(cString: $0).lowercased()))" } ?? "")
        }
    }
}

public struct ChildProcess: Hashable, Sendable {
    public let pid: Int32

    /// Waits until the child ends. Call it once: afterwards the number may belong to another process.
    public func wait() throws(CommandFailure) -> ChildOutcome {
        guard let ended = try Self.reap(pid, noWait: false) else {
            throw CommandFailure(.osError, "cannot wait for process \(pid): it is still running.")
        }
        return ended.outcome
    }

    /// How the child ended; nil while it runs. As with `wait()`, asking ends when it was told.
    public func outcome() throws(CommandFailure) -> ChildOutcome? { try Self.reap(pid, noWait: true)?.outcome }

    /// Sends a signal; a child that has ended but was not waited for takes it without harm.
    public func send(_ signal: Signal) { _ = Glibc.kill(pid, signal.number) }
    /// SIGKILL, which no program can refuse.
    public func kill() { _ = Glibc.kill(pid, SIGKILL) }

    /// A child of this process that has ended, nil when none has (or there are no children).
    public static func nextEnded() throws(CommandFailure) -> (pid: Int32, outcome: ChildOutcome)? {
        try reap(-1, noWait: true)
    }

    private static func reap(_ pid: Int32, noWait: Bool) throws(CommandFailure) -> (pid: Int32, outcome: ChildOutcome)?
    {
        var code: Int32 = 0
        var signalled: Int32 = 0
        let ended = pouch_wait(pid, noWait ? 1 : 0, &code, &signalled)
        guard ended >= 0 else {
            let cause = Errno.last
            if noWait, cause == .noChildProcess { return nil }
            throw CommandFailure(.osError, "wait for process \(pid)", cause)
        }
        guard ended > 0 else { return nil }
        return (ended, signalled != 0 ? .killed(signal: code) : .exited(status: code))
    }
}

/// The variables of this process as values; read them before threads start.
public enum Environment {
    /// At most so many are read: what a parent passes on is bounded by execve anyway.
    private static let limit = 65536

    public static func all() -> [String: String] {
        var result: [String: String] = [:]
        guard let list = pouch_environment() else { return result }
        for index in 0..<limit {
            guard let pointer = list[index] else { break }
            let parts = String(cString: pointer).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2, !parts[0].isEmpty { result[String(parts[0])] = String(parts[1]) }
        }
        return result
    }

    public static func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// Not safe beside other threads that read the environment: call it before they start.
    static func remove(_ names: [String]) { for name in names { unsetenv(name) } }
}
