// Owns: running the command that prints a passphrase, in bounded time and output. Refuses: showing what it printed, on
// either stream, or the command itself.

import CommandKit
import Glibc
import QueueKit
import SystemPackage

enum KeyCommand {
    /// For a command that asks a server or a hardware token.
    static let timeLimit = Duration.seconds(30)

    struct Failure: Error {
        /// The end of a sentence.
        var reason: String
    }

    static func output(of command: String, limit: Int, within time: Duration = timeLimit) throws(Failure) -> Secret {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Failure(reason: "\(Errno(rawValue: errno).phrase).") }
        defer { close(ends[0]) }
        let deadline = ContinuousClock.now + time
        let child: ChildProcess
        var hasEnded = false
        do throws(CommandFailure) {
            defer { close(ends[1]) }
            child = try launch(command, output: ends[1])
        } catch {
            throw Failure(reason: error.sentence)
        }
        do throws(Failure) {
            let output = try read(ends[0], limit, deadline, time)
            guard let outcome = try outcome(of: child, deadline) else { throw late(time) }
            hasEnded = true
            guard outcome.isSuccess else { throw Failure(reason: "it \(outcome). Run it by hand as this user.") }
            return output
        } catch {
            if !hasEnded { end(child) }
            throw error
        }
    }

    private static func launch(_ command: String, output: Int32) throws(CommandFailure) -> ChildProcess {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { throw CommandFailure(.osFile, "open /dev/null", Errno(rawValue: errno)) }
        defer { close(null) }
        var launch = ProcessLaunch("/bin/sh", ["-c", command])
        launch.environment = InheritedSocket.stripped(Environment.all())
        launch.mappings = [.init(null, as: 0), .init(output, as: 1), .init(null, as: 2)]
        // So that all of it can be ended.
        launch.grouping = .newGroup
        return try launch.start()
    }

    private static func read(
        _ descriptor: Int32, _ limit: Int, _ deadline: ContinuousClock.Instant, _ time: Duration
    ) throws(Failure) -> Secret {
        do throws(SecretInput.Failure) {
            return try SecretInput.readAll(descriptor, limit: limit, deadline: deadline)
        } catch {
            switch error {
            case .tooLong: throw Failure(reason: "it printed more than \(limit) octets. Is it the right one?")
            case .late: throw late(time)
            case .system(let cause): throw Failure(reason: "\(cause.phrase).")
            }
        }
    }

    /// A command may close its output and go on. nil when it is late.
    private static func outcome(
        of child: ChildProcess, _ deadline: ContinuousClock.Instant
    ) throws(Failure) -> ChildOutcome? {
        while true {
            do throws(CommandFailure) {
                if let outcome = try child.outcome() { return outcome }
            } catch {
                throw Failure(reason: error.sentence)
            }
            guard ContinuousClock.now < deadline else { return nil }
            usleep(2000)
        }
    }

    private static func late(_ time: Duration) -> Failure {
        Failure(reason: "it did not end within \(time.components.seconds) seconds. Run it by hand as this user.")
    }

    private static func end(_ child: ChildProcess) {
        kill(-child.pid, SIGKILL)
        _ = try? child.wait()
    }
}
