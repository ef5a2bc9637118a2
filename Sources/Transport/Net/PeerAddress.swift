// Owns: where a connection goes to. Refuses: names; a PeerAddress is numeric or a path.

import NIOCore

/// The other end of a connection.
public enum PeerAddress: Hashable, Sendable, CustomStringConvertible {
    /// A numeric IPv4 or IPv6 address.
    case internet(address: String, port: UInt16)
    case unix(path: String)

    public var description: String {
        switch self {
        case .internet(let address, let port): "\(address) port \(port)"
        case .unix(let path): path
        }
    }

    /// The address alone, for logs and attempts: numeric text, or the path.
    public var address: String {
        switch self {
        case .internet(let address, _): address
        case .unix(let path): path
        }
    }

    var isInternet: Bool {
        switch self {
        case .internet: true
        case .unix: false
        }
    }

    func socketAddress() throws -> SocketAddress {
        switch self {
        case .internet(let address, let port): try SocketAddress(ipAddress: address, port: Int(port))
        case .unix(let path): try SocketAddress(unixDomainSocketPath: path)
        }
    }
}
