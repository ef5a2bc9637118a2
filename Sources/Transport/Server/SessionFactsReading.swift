// Owns: what a socket says of its two ends. Refuses: what the peer says of itself.

import Glibc
import NIOCore

extension SessionFacts {
    init(channel: any Channel, listenerIndex: Int) {
        let (remote, local) = (channel.remoteAddress, channel.localAddress)
        let isUnix = local?.protocol == .unix
        self.init(
            clientAddress: Self.text(remote), clientPort: Self.port(remote), localAddress: Self.text(local),
            localPort: Self.port(local), isUnix: isUnix, listenerIndex: listenerIndex,
            peerUID: isUnix ? Self.peerUID(channel) : nil)
    }

    /// Reads the facts of an inherited descriptor; one that is no socket (a pipe, a file) is `local`.
    public init(descriptor: Int32) {
        let (remote, local) = (SocketName(peerOf: descriptor), SocketName(of: descriptor))
        self.init(
            clientAddress: remote?.address ?? "local", clientPort: remote?.port ?? 0,
            localAddress: local?.address ?? "local", localPort: local?.port ?? 0, isUnix: local?.isUnix ?? false,
            peerUID: local?.isUnix == true ? SocketName.peerUID(descriptor) : nil)
    }

    private static func text(_ address: SocketAddress?) -> String {
        (address?.ipAddress).map(IPAddressText.unmapped) ?? "local"
    }

    private static func port(_ address: SocketAddress?) -> UInt16 { UInt16(clamping: address?.port ?? 0) }

    private static func peerUID(_ channel: any Channel) -> UInt32? {
        guard let options = (channel as? any SocketOptionProvider) else { return nil }
        let credentials: EventLoopFuture<PeerCredentials> = options.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        // On the loop the answer is there at once.
        var uid: UInt32?
        credentials.assumeIsolated().whenSuccess { uid = $0.uid }
        return uid
    }
}

/// `struct ucred` of socket(7), which the Glibc module leaves out.
private struct PeerCredentials: Sendable {
    var pid: Int32 = 0
    var uid: UInt32 = .max
    var gid: UInt32 = .max
}

/// One end of a socket, by descriptor.
struct SocketName: Sendable {
    var address: String
    var port: UInt16
    var isUnix: Bool

    init?(of descriptor: Int32) { self.init(descriptor, getsockname) }
    init?(peerOf descriptor: Int32) { self.init(descriptor, getpeername) }

    private typealias Call = (Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?) -> Int32

    private init?(_ descriptor: Int32, _ call: Call) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { call(descriptor, $0, &length) }
        }
        guard status == 0 else { return nil }
        (address, port, isUnix) = withUnsafeBytes(of: storage) { Self.read(Int32(storage.ss_family), $0) }
    }

    private static func read(_ family: Int32, _ bytes: UnsafeRawBufferPointer) -> (String, UInt16, Bool) {
        // Port and address stand behind the family: at 2 and 4 in sockaddr_in, at 2 and 8 in sockaddr_in6.
        let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        switch family {
        case AF_INET:
            return (IPAddressText.make(family, UnsafeRawBufferPointer(rebasing: bytes[4..<8])) ?? "local", port, false)
        case AF_INET6:
            let text = IPAddressText.make(family, UnsafeRawBufferPointer(rebasing: bytes[8..<24]))
            return (text.map(IPAddressText.unmapped) ?? "local", port, false)
        default: return ("local", 0, family == AF_UNIX)
        }
    }

    static func peerUID(_ descriptor: Int32) -> UInt32? {
        var credentials = PeerCredentials()
        var length = socklen_t(MemoryLayout<PeerCredentials>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 else { return nil }
        return credentials.uid
    }
}
