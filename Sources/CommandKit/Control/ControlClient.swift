// Owns: one question to the queue's runner and its whole answer. Refuses: what to do when nobody runs the queue.

import Glibc
import SystemPackage

public enum ControlClient {
    /// For the request to be taken.
    static let sendLimit = Duration.seconds(10)
    /// For each line of the answer; more than the server gives itself (ControlServer.answerLimit).
    static let answerLimit = Duration.seconds(75)

    /// Asks and waits for the answer.
    ///
    /// - Parameter path: `<spool>/run/control`.
    /// - Returns: nil when nobody listens there: no such socket, or one that a dead process left behind.
    /// - Throws: 77 when the caller may not connect, 75 when no answer came, 76 when it makes no sense. A refusal by
    ///   the runner is no error here: it is a reply that is not ok.
    public static func ask(path: String, request: ControlRequest) throws(CommandFailure) -> ControlReply? {
        guard let connection = try connect(to: path) else { return nil }
        var sending: CommandFailure?
        do throws(CommandFailure) {
            try connection.send(request.json, within: sendLimit)
        } catch {
            // A server that refuses at once has answered already and closed: its sentence says more than EPIPE.
            sending = error
        }
        var reply = ControlReply()
        for _ in 0..<ControlReply.lineLimit {
            guard let line = try connection.receive(within: sending == nil ? answerLimit : .zero) else {
                throw sending
                    ?? CommandFailure(
                        .temporaryFailure,
                        "the queue's runner went away before it answered. See with mail-queue list what it did.")
            }
            guard try reply.add(line) else { return reply }
        }
        throw CommandFailure(.protocolError, "the queue's runner answers without end.")
    }

    private static func connect(to path: String) throws(CommandFailure) -> LineConnection? {
        let address = try UnixAddress(path)
        let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, flags, 0)
        guard descriptor >= 0 else { throw CommandFailure(.osError, "make a socket", .last) }
        guard address.withPointer({ Glibc.connect(descriptor, $0, $1) }) == 0 else {
            let cause = Errno.last
            close(descriptor)
            switch cause {
            case .noSuchFileOrDirectory, .connectionRefused: return nil
            case .permissionDenied:
                throw CommandFailure(
                    .noPermission, "ask the queue's runner at \(path)", cause,
                    cure: "Run as a member of the group the socket belongs to (see ls -l \(path)).")
            default:
                throw CommandFailure(
                    .temporaryFailure, "ask the queue's runner at \(path)", cause, cure: "Try again later.")
            }
        }
        return try LineConnection(taking: descriptor, place: path)
    }
}
