// Owns: sockets that accept, over the internet and in the file system, and the sentences when they cannot be had.
// Refuses: accepting from the internet (Transport), TLS.

import Glibc
import SystemPackage

/// A socket in the state LISTEN, close-on-exec. The descriptor belongs to whoever holds the value; `close()` ends it.
public struct ListeningSocket: Hashable, Sendable {
    public let descriptor: Int32
    /// For people: `192.0.2.1:25`, `[::1]:25`, a path.
    public let place: String

    /// Connections that wait for accept(2); a burst of clients must not meet refused connections (DESIGN §6).
    public static let backlog: Int32 = 1024

    /// Binds a TCP port. Port 0 lets the kernel choose; see `port`.
    /// - Parameter isBlocking: NIO wants sockets that do not block and sets that itself.
    public static func tcp(_ address: SocketAddress, isBlocking: Bool = true) throws(CommandFailure) -> ListeningSocket
    {
        let family = address.isIPv6 ? AF_INET6 : AF_INET
        let descriptor = try open(family, isBlocking: isBlocking, place: address.description)
        do throws(CommandFailure) {
            try set(SOL_SOCKET, SO_REUSEADDR, on: descriptor, place: address.description)
            // An IPv6 socket that took IPv4 clients too would collide with the listener of 0.0.0.0.
            if address.isIPv6 { try set(Int32(IPPROTO_IPV6), IPV6_V6ONLY, on: descriptor, place: address.description) }
            guard address.withPointer({ Glibc.bind(descriptor, $0, $1) }) == 0 else { throw refusal(address, .last) }
            guard Glibc.listen(descriptor, backlog) == 0 else { throw refusal(address, .last) }
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        return ListeningSocket(descriptor: descriptor, place: address.description)
    }

    /// Binds a Unix stream socket. A socket left behind by a process that is gone is replaced; a socket that answers
    /// and any other kind of file are left alone.
    /// - Parameters:
    ///   - mode: the permission bits; connecting needs the write bit. No umask changes them.
    ///   - owner: uid and gid the path is given to; nil keeps ours.
    public static func unix(
        path: String, mode: UInt32, owner: (uid: UInt32, gid: UInt32)? = nil, isBlocking: Bool = true
    ) throws(CommandFailure) -> ListeningSocket {
        let address = try UnixAddress(path)
        try removeStale(address)
        let descriptor = try open(AF_UNIX, isBlocking: isBlocking, place: path)
        do throws(CommandFailure) {
            // Before bind, so that the path is never more open than asked; after it, so that no umask narrows it.
            guard fchmod(descriptor, mode_t(mode)) == 0 else { throw refusal(path, .last) }
            guard address.withPointer({ Glibc.bind(descriptor, $0, $1) }) == 0 else { throw refusal(path, .last) }
            if let owner, lchown(path, owner.uid, owner.gid) != 0 { throw refusal(path, .last) }
            guard fchmodat(AT_FDCWD, path, mode_t(mode), 0) == 0 else { throw refusal(path, .last) }
            guard Glibc.listen(descriptor, backlog) == 0 else { throw refusal(path, .last) }
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        return ListeningSocket(descriptor: descriptor, place: path)
    }

    /// The port in use, for a socket bound to port 0; nil for a Unix socket.
    public var port: UInt16? { boundAddress?.port }

    /// Where the socket is bound; nil for a Unix socket.
    public var boundAddress: SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard getsockname(descriptor, address, &length) == 0 else { return nil }
                return SocketAddress(address, length: length)
            }
        }
    }

    public func close() { Glibc.close(descriptor) }

    /// Whether a Unix socket of that path exists and somebody accepts on it.
    public static func answers(atPath path: String) throws(CommandFailure) -> Bool {
        try probe(UnixAddress(path)) == .answers
    }

    private enum Probe { case absent, stale, answers }

    /// Not blocking: a server too busy to accept counts as one that answers.
    private static func probe(_ address: UnixAddress) throws(CommandFailure) -> Probe {
        let descriptor = try open(AF_UNIX, isBlocking: false, place: address.path)
        defer { Glibc.close(descriptor) }
        if address.withPointer({ Glibc.connect(descriptor, $0, $1) }) == 0 { return .answers }
        switch Errno.last {
        case .noSuchFileOrDirectory: return .absent
        case .connectionRefused: return .stale
        case .resourceTemporarilyUnavailable, Errno(rawValue: EPROTOTYPE): return .answers
        case let cause: throw refusal(address.path, cause)
        }
    }

    private static func removeStale(_ address: UnixAddress) throws(CommandFailure) {
        var status = stat()
        guard !address.isAbstract, lstat(address.path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw CommandFailure(
                .configuration,
                "cannot listen on \(address.path): a file that is no socket is in the way. Move it away."
            )
        }
        switch try probe(address) {
        case .answers: throw refusal(address.path, .addressInUse)
        case .absent: return
        case .stale:
            guard unlink(address.path) == 0 || errno == ENOENT else { throw refusal(address.path, .last) }
        }
    }

    private static func open(_ family: Int32, isBlocking: Bool, place: String) throws(CommandFailure) -> Int32 {
        let flags = Int32(SOCK_CLOEXEC.rawValue) | (isBlocking ? 0 : Int32(SOCK_NONBLOCK.rawValue))
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | flags, 0)
        guard descriptor >= 0 else { throw refusal(place, .last) }
        return descriptor
    }

    private static func set(
        _ level: Int32, _ option: Int32, on descriptor: Int32, place: String
    ) throws(CommandFailure) {
        var one: Int32 = 1
        guard setsockopt(descriptor, level, option, &one, socklen_t(MemoryLayout<Int32>.size)) == 0 else {
            throw refusal(place, .last)
        }
    }

    private static func refusal(_ address: SocketAddress, _ cause: Errno) -> CommandFailure {
        guard cause == .permissionDenied, address.port < 1024 else { return refusal(address.description, cause) }
        return CommandFailure(
            .noPermission, "listen on \(address)", cause,
            cure: "Ports below 1024 need root or CAP_NET_BIND_SERVICE; else choose a higher port.")
    }

    private static func refusal(_ place: String, _ cause: Errno) -> CommandFailure {
        let operation = "listen on \(place)"
        switch cause {
        case .addressInUse:
            return CommandFailure(
                .unavailable, operation, cause, cure: "Stop the program that listens there, or choose another place.")
        case .addressNotAvailable:
            return CommandFailure(
                .configuration, operation, cause, cure: "No network interface of this machine has that address.")
        case .permissionDenied, .notPermitted:
            return CommandFailure(.noPermission, operation, cause)
        case .noSuchFileOrDirectory:
            return CommandFailure(.configuration, operation, cause, cure: "Make its directory first.")
        default:
            return CommandFailure(.osError, operation, cause)
        }
    }
}
