// Owns: telling whoever started us that we are ready, or stopping (sd_notify(3); s6's notification-fd). Refuses:
// watchdogs, which no unit of ours asks for.

import Glibc
import SystemPackage

/// Made once at the start, before threads, since it takes NOTIFY_SOCKET out of the environment.
public struct Readiness: Sendable {
    private let socket: UnixAddress?
    private let descriptor: FileDescriptor?

    /// - Parameter readyDescriptor: `--ready-fd N`: gets one newline and is closed (s6, mail-supervise).
    /// - Throws: 64 when that descriptor is not open; 78 when NOTIFY_SOCKET is no Unix socket's address.
    public init(readyDescriptor: Int32? = nil) throws(CommandFailure) {
        let notify = Environment.value("NOTIFY_SOCKET")
        Environment.remove(["NOTIFY_SOCKET"])
        try self.init(notifySocket: notify, readyDescriptor: readyDescriptor)
    }

    init(notifySocket: String?, readyDescriptor: Int32?) throws(CommandFailure) {
        if let readyDescriptor {
            guard readyDescriptor > 2, fcntl(readyDescriptor, F_SETFD, FD_CLOEXEC) == 0 else {
                throw CommandFailure(
                    .usage, "cannot use --ready-fd \(readyDescriptor): it is not an open descriptor above 2.")
            }
        }
        descriptor = readyDescriptor.map(FileDescriptor.init(rawValue:))
        guard let notifySocket, !notifySocket.isEmpty else {
            socket = nil
            return
        }
        guard notifySocket.first == "/" || notifySocket.first == "@" else {
            throw CommandFailure(
                .configuration,
                "cannot notify NOTIFY_SOCKET=\(notifySocket): only a path and an abstract name (@...) are known.")
        }
        socket = try UnixAddress(notifySocket)
    }

    /// Says READY=1 and writes the newline. Call it once.
    /// - Parameter status: one line for `systemctl status`.
    public func ready(status: String = "") throws(CommandFailure) {
        try send(["READY=1"] + (status.isEmpty ? [] : ["STATUS=\(EscapedText.plain(status))"]))
        guard let descriptor else { return }
        do {
            try descriptor.writeAll("\n".utf8)
            try descriptor.close()
        } catch let cause as Errno {
            throw CommandFailure(.osError, "write to --ready-fd \(descriptor.rawValue)", cause)
        } catch {
            throw CommandFailure(.osError, "cannot write to --ready-fd \(descriptor.rawValue): \(error).")
        }
    }

    public func stopping() throws(CommandFailure) { try send(["STOPPING=1"]) }

    public func status(_ text: String) throws(CommandFailure) { try send(["STATUS=\(EscapedText.plain(text))"]) }

    private func send(_ lines: [String]) throws(CommandFailure) {
        guard let socket else { return }
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw CommandFailure(.osError, "make a socket to notify the service manager", .last)
        }
        defer { close(descriptor) }
        let bytes = Array(lines.joined(separator: "\n").utf8)
        let sent = socket.withPointer { address, length in
            sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length)
        }
        guard sent == bytes.count else {
            throw CommandFailure(.osError, "notify the service manager at \(socket.path)", .last)
        }
    }
}
