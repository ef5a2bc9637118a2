// Owns: listening sockets handed down by descriptor, both sides of it (sd_listen_fds(3)). Refuses: binding
// (ListeningSocket), accepting (Transport).

import Glibc
import SystemPackage

/// A listening stream socket with its name. The descriptor stays open until somebody closes it: listeners must
/// neither shut it down nor unlink its path, others listen on it too.
public struct InheritedSocket: Hashable, Sendable {
    public var descriptor: Int32
    /// `FileDescriptorName=` of a systemd unit, `unknown` without one; mail-supervise says `listener-N`, N the number
    /// of the `listen on` line from 0, and `agent`.
    public var name: String

    public init(descriptor: Int32, name: String) { (self.descriptor, self.name) = (descriptor, name) }

    /// SD_LISTEN_FDS_START.
    static let first: Int32 = 3
    /// Far above any configuration, far below what would make a loop long.
    static let limit: Int32 = 1024
    private static let variableNames = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"]

    /// Takes what this process was given: checks every socket, sets it close-on-exec and takes the variables out of
    /// the environment, so that no child thinks itself meant. Call it once, before threads start.
    /// - Returns: nothing when none were meant for this process.
    /// - Throws: status 78 when a descriptor is no listening stream socket.
    public static func takeAll() throws(CommandFailure) -> [InheritedSocket] {
        let variables = Environment.all()
        Environment.remove(variableNames)
        let sockets = try announced(in: variables, pid: getpid())
        for socket in sockets { try socket.verify() }
        return sockets
    }

    /// What the variables say; pure.
    static func announced(in variables: [String: String], pid: Int32) throws(CommandFailure) -> [InheritedSocket] {
        guard let meant = variables["LISTEN_PID"], Int32(meant) == pid, let text = variables["LISTEN_FDS"] else {
            return []
        }
        guard let count = Int32(text), (0...limit).contains(count) else {
            throw CommandFailure(
                .configuration, "cannot use LISTEN_FDS=\(text): it must be a number from 0 to \(limit).")
        }
        let given = variables["LISTEN_FDNAMES"].map { $0.split(separator: ":", omittingEmptySubsequences: false) } ?? []
        return (0..<count).map { index in
            let name = Int(index) < given.count ? String(given[Int(index)]) : ""
            return InheritedSocket(descriptor: first + index, name: name.isEmpty ? "unknown" : name)
        }
    }

    /// What tells a child about the sockets, but for LISTEN_PID.
    static func variables(for sockets: [InheritedSocket]) -> [String: String] {
        ["LISTEN_FDS": String(sockets.count), "LISTEN_FDNAMES": sockets.map(\.portableName).joined(separator: ":")]
    }

    /// A colon would end the name; controls would garble the list.
    private var portableName: String { String(name.map { $0 == ":" || !$0.isASCII || $0 < " " ? "_" : $0 }) }

    /// Removes the variables of an environment that is passed on: they were meant for the parent.
    public static func stripped(_ variables: [String: String]) -> [String: String] {
        variables.filter { !variableNames.contains($0.key) }
    }

    private func verify() throws(CommandFailure) {
        let cure = "Give listening stream sockets only (ListenStream=, Accept=no)."
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            throw CommandFailure(.configuration, "use inherited descriptor \(descriptor) (\(name))", .last, cure: cure)
        }
        let type = try option(SO_TYPE, cure: cure)
        let listens = try option(SO_ACCEPTCONN, cure: cure)
        guard type == Int32(SOCK_STREAM.rawValue), listens == 1 else {
            throw CommandFailure(
                .configuration,
                "cannot use inherited descriptor \(descriptor) (\(name)): it is no listening stream "
                    + "socket. \(cure)")
        }
    }

    private func option(_ option: Int32, cure: String) throws(CommandFailure) -> Int32 {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, option, &value, &length) == 0 else {
            throw CommandFailure(.configuration, "use inherited descriptor \(descriptor) (\(name))", .last, cure: cure)
        }
        return value
    }
}
