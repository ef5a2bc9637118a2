// Owns: the sockets of `listen on`, kept over restarts and reloads of mail-listen. Refuses: accepting on them.

import CommandKit
import Routing

/// Bound by us, or inherited from whoever started us; then `listen on` says only how sessions are served.
final class ListenerSockets {
    private(set) var sockets: [InheritedSocket]
    private var bound: [SocketAddress: ListeningSocket] = [:]
    private let isInherited: Bool

    init(inherited: [InheritedSocket], configuration: Configuration) throws(CommandFailure) {
        sockets = inherited
        isInherited = !inherited.isEmpty
        try update(to: configuration)
    }

    /// For the log and `systemctl status`.
    var places: [String] {
        isInherited ? sockets.map { "\($0.name) (inherited)" } : bound.values.map(\.place).sorted()
    }

    /// Binds what is new, keeps what is bound, then lets go of what is no longer named. Throws before any change.
    func update(to configuration: Configuration) throws(CommandFailure) {
        guard !isInherited else { return }
        let wanted = try Self.addresses(in: configuration)
        var added: [SocketAddress: ListeningSocket] = [:]
        do throws(CommandFailure) {
            for (address, _) in wanted where bound[address] == nil && added[address] == nil {
                added[address] = try ListeningSocket.tcp(address)
            }
        } catch {
            for socket in added.values { socket.close() }
            throw error
        }
        let kept = Set(wanted.map(\.address))
        for (address, socket) in bound where !kept.contains(address) {
            socket.close()
            bound[address] = nil
        }
        bound.merge(added) { old, _ in old }
        sockets = wanted.compactMap { address, name in
            bound[address].map { InheritedSocket(descriptor: $0.descriptor, name: name) }
        }
    }

    func close() {
        for socket in bound.values { socket.close() }
        (bound, sockets) = ([:], [])
    }

    /// Every address with the name of its socket: `listener-N`, N the number of its `listen on` from 0.
    static func addresses(in configuration: Configuration) throws(CommandFailure) -> [(
        address: SocketAddress, name: String
    )] {
        var result: [(address: SocketAddress, name: String)] = []
        var seen: Set<SocketAddress> = []
        for (index, listener) in configuration.listeners.enumerated() {
            switch listener.place {
            case .internet(let text, let port):
                for address in try SocketAddress.all(named: text, port: port) where seen.insert(address).inserted {
                    result.append((address, "listener-\(index)"))
                }
            }
        }
        return result
    }
}
