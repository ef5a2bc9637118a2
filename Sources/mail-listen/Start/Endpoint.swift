// Owns: which sockets are served, and with which options of the configuration. Refuses: accepting on them (Transport).

import CommandKit
import Logging
import Routing
import SMTPProtocol
import Transport

/// A socket with what its sessions are told and tagged with.
struct Endpoint: Sendable {
    var descriptor: Int32
    /// For people.
    var place: String
    var options: ServerConfiguration
    /// `tag` of `listen on`.
    var tag: String?

    var listener: ServerListener { ServerListener(.descriptor(descriptor), configuration: options) }

    /// Inherited sockets, else those that the configuration names.
    /// - Throws: 78 when there are none; what `ListeningSocket.tcp` throws when one can't be had.
    static func all(
        _ inherited: [InheritedSocket], _ setting: Setting, _ logger: Logger
    ) throws(CommandFailure) -> [Endpoint] {
        let endpoints = inherited.isEmpty ? try bind(setting, logger) : inherited.map { taken($0, setting) }
        guard endpoints.isEmpty else { return endpoints }
        throw CommandFailure(
            .configuration,
            "\(setting.name) names no listener and no socket was inherited. Add a line such as \"listen on 127.0.0.1\", "
                + "or start mail-listen from mail-supervise or a socket unit.")
    }

    /// mail-supervise calls the sockets `listener-N`; a socket of any other name is served as the first `listen on`.
    static func taken(_ socket: InheritedSocket, _ setting: Setting) -> Endpoint {
        let prefix = "listener-"
        let listeners = setting.configuration.listeners
        let index = socket.name.hasPrefix(prefix) ? Int(socket.name.dropFirst(prefix.count)) : nil
        let listener = index.flatMap { listeners.indices.contains($0) ? listeners[$0] : nil } ?? listeners.first
        return Endpoint(
            descriptor: socket.descriptor, place: "\(socket.name) (inherited)", options: options(listener, setting),
            tag: listener?.tag)
    }

    /// What sessions of a listener are told; nil stands for one the configuration does not name.
    static func options(_ listener: Listener?, _ setting: Setting) -> ServerConfiguration {
        var options = ServerConfiguration(
            hostname: listener?.hostname ?? setting.localNames.first ?? "localhost")
        options.maxMessageSize = setting.configuration.maxMessageSize
        options.maxRecipients = setting.configuration.maxRecipients
        options.maxMails = setting.configuration.maxMails
        return options
    }

    private static func bind(_ setting: Setting, _ logger: Logger) throws(CommandFailure) -> [Endpoint] {
        var endpoints: [Endpoint] = []
        var seen: Set<SocketAddress> = []
        for listener in setting.configuration.listeners {
            switch listener.place {
            case .internet(let text, let port):
                for address in try SocketAddress.all(named: text, port: port) where seen.insert(address).inserted {
                    guard let socket = try bind(address, listener, logger) else { continue }
                    endpoints.append(
                        Endpoint(
                            descriptor: socket.descriptor, place: socket.place, options: options(listener, setting),
                            tag: listener.tag))
                }
            }
        }
        return endpoints
    }

    /// nil for an address that the machine lacks and need not have.
    private static func bind(
        _ address: SocketAddress, _ listener: Listener, _ logger: Logger
    ) throws(CommandFailure) -> ListeningSocket? {
        do throws(CommandFailure) { return try ListeningSocket.tcp(address, isBlocking: false) } catch {
            guard listener.mayBeAbsent, error.status == .configuration || error.status == .osError else { throw error }
            logger.notice("not listening on \(address): this machine does not have it")
            return nil
        }
    }
}
