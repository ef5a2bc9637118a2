// Owns: one JSON object a line, both ways, over a Unix socket, with limits on length and time. Refuses: what the
// objects mean.

import CLinux
import Glibc
import SystemPackage

/// Who is at the other end, as the kernel knows it (SO_PEERCRED): the process that connected, or that called listen.
public struct PeerCredentials: Hashable, Sendable {
    public var pid: Int32
    public var uid: UInt32
    public var gid: UInt32

    /// - Parameter descriptor: a connected Unix stream socket.
    public init(ofSocket descriptor: Int32) throws(CommandFailure) {
        (pid, uid, gid) = (0, 0, 0)
        guard pouch_peer_credentials(descriptor, &pid, &uid, &gid) == 0 else {
            throw CommandFailure(.osError, "learn who connected", .last)
        }
    }
}

/// A connected Unix stream socket that carries lines. Not shared between threads; hand it over whole.
///
/// ```swift
/// let control = try LineConnection(connectingTo: "/var/spool/pouch/run/control")
/// try control.send(["command": "flush"], within: .seconds(5))
/// let answer = try control.receive(within: .seconds(30))
/// ```
public final class LineConnection {
    private let descriptor: Int32
    private let place: String
    /// Bytes read but not yet taken; `searched` of them are known to hold no line end.
    private var buffer: [UInt8] = []
    private var searched = 0

    /// Takes the descriptor over and sets it not to block.
    public init(taking descriptor: Int32, place: String) throws(CommandFailure) {
        (self.descriptor, self.place) = (descriptor, place)
        guard fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else { throw failure("use", .last) }
    }

    deinit { close(descriptor) }

    /// Connects at once or not at all.
    /// - Throws: 75 when nobody answers there, 77 when the caller may not connect.
    public convenience init(connectingTo path: String) throws(CommandFailure) {
        let address = try UnixAddress(path)
        let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, flags, 0)
        guard descriptor >= 0 else { throw CommandFailure(.osError, "make a socket", .last) }
        guard address.withPointer({ connect(descriptor, $0, $1) }) == 0 else {
            let cause = Errno.last
            close(descriptor)
            let isForbidden = cause == .permissionDenied
            throw CommandFailure(isForbidden ? .noPermission : .temporaryFailure, "connect to \(path)", cause)
        }
        try self.init(taking: descriptor, place: path)
    }

    /// Waits for a client of a listening Unix socket; nil when none came in time.
    public static func accept(
        from listener: ListeningSocket, within limit: Duration
    ) throws(CommandFailure) -> LineConnection? {
        guard try Wait.until(listener.descriptor, Int16(POLLIN), deadline: .now + limit) else { return nil }
        let descriptor = pouch_accept(listener.descriptor)
        guard descriptor >= 0 else {
            // The client went away between the two calls.
            if [EAGAIN, ECONNABORTED, EINTR].contains(errno) { return nil }
            throw CommandFailure(.osError, "accept a connection on \(listener.place)", .last)
        }
        return try LineConnection(taking: descriptor, place: listener.place)
    }

    public func peer() throws(CommandFailure) -> PeerCredentials { try PeerCredentials(ofSocket: descriptor) }
    func peerGroups() throws(CommandFailure) -> [UInt32]? { try PeerCredentials.groups(ofSocket: descriptor) }

    /// Writes one line.
    public func send(_ value: JSONValue, within limit: Duration) throws(CommandFailure) {
        let bytes = Array(value.rendered.utf8) + [UInt8(ascii: "\n")]
        let deadline = ContinuousClock.now + limit
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN || errno == EINTR {
                guard try Wait.until(descriptor, Int16(POLLOUT), deadline: deadline) else { throw timedOut(limit) }
            } else {
                throw failure("write to", .last)
            }
        }
    }

    /// The next line, nil when the other side closed between two lines.
    /// - Throws: 76 for a line that is no JSON or too long, or that breaks off; 75 when it did not come in time.
    public func receive(within limit: Duration) throws(CommandFailure) -> JSONValue? {
        let deadline = ContinuousClock.now + limit
        while true {
            if let line = try takeLine() {
                do {
                    return try JSONValue(parsing: line)
                } catch {
                    throw CommandFailure(.protocolError, "cannot understand what \(place) says: \(error).")
                }
            }
            guard try Wait.until(descriptor, Int16(POLLIN), deadline: deadline) else { throw timedOut(limit) }
            guard try readMore() else {
                guard buffer.isEmpty else {
                    throw CommandFailure(
                        .protocolError, "the connection with \(place) broke off in the middle of a line.")
                }
                return nil
            }
        }
    }

    private func takeLine() throws(CommandFailure) -> [UInt8]? {
        guard let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) else {
            searched = buffer.count
            guard buffer.count <= JSONValue.sizeLimit else {
                throw CommandFailure(.protocolError, "\(place) sent a line longer than \(JSONValue.sizeLimit) bytes.")
            }
            return nil
        }
        let line = Array(buffer[..<end])
        buffer.removeSubrange(...end)
        searched = 0
        return line
    }

    /// False at the end of the stream.
    private func readMore() throws(CommandFailure) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        let count = read(descriptor, &chunk, chunk.count)
        guard count >= 0 else {
            if errno == EAGAIN || errno == EINTR { return true }
            if errno == ECONNRESET { return false }
            throw failure("read from", .last)
        }
        buffer += chunk.prefix(count)
        return count > 0
    }

    private func failure(_ verb: String, _ cause: Errno) -> CommandFailure {
        CommandFailure(.ioError, "\(verb) \(place)", cause)
    }

    private func timedOut(_ limit: Duration) -> CommandFailure {
        CommandFailure(.temporaryFailure, "\(place) did not answer within \(limit). Try again later.")
    }
}

/// poll(2) on one descriptor until a deadline.
enum Wait {
    /// False when the deadline passed first.
    static func until(
        _ descriptor: Int32, _ events: Int16, deadline: ContinuousClock.Instant
    ) throws(CommandFailure) -> Bool {
        while true {
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let count = poll(&entry, 1, milliseconds(deadline - .now))
            if count > 0 { return true }
            if count == 0, deadline <= .now { return false }
            guard count == 0 || errno == EINTR else { throw CommandFailure(.osError, "wait for a socket", .last) }
        }
    }

    /// For poll(2): never negative (which would wait for ever), rounded up (so that no loop spins), within Int32.
    static func milliseconds(_ duration: Duration) -> Int32 {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        guard seconds < 1_000_000 else { return 1_000_000_000 }
        return Int32(seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
