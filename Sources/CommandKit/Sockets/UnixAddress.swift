// Owns: the address of a Unix socket, by path or abstract name. Refuses: sockets themselves.

import Glibc

public struct UnixAddress: Hashable, Sendable {
    /// A path, or `@name` in the abstract namespace (unix(7)).
    public let path: String

    /// What sun_path holds besides the NUL that ends a path.
    public static let pathLimit = 107

    public init(_ path: String) throws(CommandFailure) {
        guard (1...Self.pathLimit).contains(path.utf8.count), !path.utf8.contains(0) else {
            throw CommandFailure(
                .configuration,
                "cannot use the socket path \(path): it must have 1 to \(Self.pathLimit) bytes. Choose a shorter one.")
        }
        self.path = path
    }

    var isAbstract: Bool { path.utf8.first == UInt8(ascii: "@") }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { room in
            room.copyBytes(from: path.utf8)
            if isAbstract { room[0] = 0 }
        }
        // An abstract name ends with the length; a path ends with its NUL.
        let offset = MemoryLayout<sockaddr_un>.offset(of: \sockaddr_un.sun_path) ?? 2
        let length = socklen_t(offset + path.utf8.count + (isAbstract ? 0 : 1))
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
