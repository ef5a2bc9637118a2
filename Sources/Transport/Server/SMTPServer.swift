// Owns: the listening sockets of a program, its one event loop, and the orderly end of both. Refuses: sessions
// (ServerSessionHandler), privileges: low ports are bound by others and inherited.

import Glibc
import NIOCore
import NIOPosix
import SMTPProtocol

/// A place to listen at.
public struct ServerListener: Hashable, Sendable {
    public enum Place: Hashable, Sendable {
        /// A bound, listening stream socket; the server owns it from now on and closes it, but never shuts it down:
        /// other processes may hold it too.
        case descriptor(Int32)
        /// A numeric address; an IPv6 one takes IPv6 only.
        case address(String, port: UInt16)
        /// The path of a Unix socket; a socket left there by an earlier process is replaced. Who may connect is the
        /// affair of its directory and the umask.
        case unix(path: String)
    }
    public var place: Place
    public var configuration: ServerConfiguration

    public init(_ place: Place, configuration: ServerConfiguration) {
        (self.place, self.configuration) = (place, configuration)
    }
}

/// Why a server could not start, as a sentence.
public struct ListenFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    /// The errno of the call that failed; 0 when none did.
    public let code: Int32
}

/// Serves SMTP or LMTP at several places.
///
/// ```swift
/// let server = try await SMTPServer.start([ServerListener(.descriptor(3), configuration: ...)], policy: policy)
/// ...
/// await server.shutdown(within: .seconds(30))
/// ```
public final class SMTPServer: Sendable {
    /// How many connections the kernel keeps for us to accept.
    static let backlog: Int32 = 1024

    private let group: MultiThreadedEventLoopGroup
    private let roster: NIOLoopBound<ServerRoster>
    private let channels: [any Channel]
    private let loop: any EventLoop

    private init(
        group: MultiThreadedEventLoopGroup, roster: NIOLoopBound<ServerRoster>, loop: any EventLoop,
        channels: [any Channel]
    ) {
        (self.group, self.roster, self.loop, self.channels) = (group, roster, loop, channels)
    }

    /// Opens every listener, or none. One event loop serves them all: a second gained nothing on two cores, the time
    /// goes into the store's syncs.
    public static func start(
        _ listeners: [ServerListener], policy: any ServerPolicy, limits: ServerLimits = ServerLimits()
    ) async throws(ListenFailure) -> SMTPServer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let roster: NIOLoopBound<ServerRoster>
        do {
            roster = try await loop.submit {
                NIOLoopBound(ServerRoster(policy: policy, limits: limits), eventLoop: loop)
            }.get()
        } catch {
            throw ListenFailure(description: "cannot start the network thread: \(error)", code: 0)
        }
        var channels: [any Channel] = []
        for (index, listener) in listeners.enumerated() {
            do {
                channels.append(try await open(listener, index, group, roster))
            } catch {
                for channel in channels { channel.close(promise: nil) }
                await stop(group)
                throw ListenFailure(listener.place, error)
            }
        }
        return SMTPServer(group: group, roster: roster, loop: loop, channels: channels)
    }

    /// The port of each listener in order; 0 for a Unix socket. Useful after asking for port 0.
    public var ports: [UInt16] { channels.map { UInt16(clamping: $0.localAddress?.port ?? 0) } }

    /// Sessions at this moment.
    public func sessionCount() async -> Int {
        do { return try await loop.submit { [roster] in roster.value.count }.get() } catch { return 0 }
    }

    /// Stops accepting, gives every session its end (421 when idle, after the transaction otherwise; RFC 5321 §3.8),
    /// and returns when the last is gone or `deadline` has passed, which drops the rest. Call it once.
    public func shutdown(within deadline: Duration) async {
        for channel in channels { await finish(channel.close()) }
        let promise = loop.makePromise(of: Void.self)
        let timer = loop.scheduleTask(in: .milliseconds(max(0, deadline.milliseconds))) { [roster] in
            roster.value.dropAll()
        }
        loop.execute { [roster] in roster.value.shutDown(promise) }
        await finish(promise.futureResult)
        timer.cancel()
        // From here on a store's late answer finds nobody.
        await finish(loop.submit { [roster] in roster.value.gate.close() })
        await Self.stop(group)
    }

    /// A listener that is closed already is as good as one closed now.
    private func finish(_ future: EventLoopFuture<Void>) async {
        do { try await future.get() } catch { return }
    }

    private static func stop(_ group: MultiThreadedEventLoopGroup) async {
        do { try await group.shutdownGracefully() } catch { return }
    }

    private static func open(
        _ listener: ServerListener, _ index: Int, _ group: MultiThreadedEventLoopGroup,
        _ roster: NIOLoopBound<ServerRoster>
    ) async throws -> any Channel {
        let isUnix: Bool
        switch listener.place {
        case .descriptor(let descriptor):
            guard let name = SocketName(of: descriptor) else { throw IOError(errnoCode: errno, reason: "getsockname") }
            isUnix = name.isUnix
        case .address: isUnix = false
        case .unix: isUnix = true
        }
        let bootstrap = bootstrap(listener, index, group, roster, isUnix: isUnix)
        switch listener.place {
        case .descriptor(let descriptor):
            let channel = try await bootstrap.withBoundSocket(descriptor).get()
            // NIO has just called listen(2) on it with 128, whatever the option says.
            guard listen(descriptor, backlog) == 0 else { throw IOError(errnoCode: errno, reason: "listen") }
            return channel
        case .unix(let path):
            return try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        case .address(let text, let port):
            let address = try SocketAddress(ipAddress: text, port: Int(port))
            guard address.protocol == .inet6 else { return try await bootstrap.bind(to: address).get() }
            let only = ChannelOptions.Types.SocketOption(level: .ipv6, name: .ipv6_v6only)
            return try await bootstrap.serverChannelOption(only, value: 1).bind(to: address).get()
        }
    }

    private static func bootstrap(
        _ listener: ServerListener, _ index: Int, _ group: MultiThreadedEventLoopGroup,
        _ roster: NIOLoopBound<ServerRoster>, isUnix: Bool
    ) -> ServerBootstrap {
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: backlog)
            .serverChannelOption(.maxMessagesPerRead, value: 16)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 2)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 16 << 10))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try add(to: channel, listener.configuration, index, roster.value)
                }
            }
        guard !isUnix else { return bootstrap }
        return bootstrap.serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
    }

    private static func add(
        to channel: any Channel, _ configuration: ServerConfiguration, _ index: Int, _ roster: ServerRoster
    ) throws {
        let operations = channel.pipeline.syncOperations
        if roster.isClosing {
            let reply = Reply(421, .init(4, 3, 2), "\(configuration.hostname) is shutting down, try again later")
            return try operations.addHandler(RefusalHandler(reply, policy: roster.policy, listenerIndex: index))
        }
        if roster.isFull {
            let reply = Reply(421, .init(4, 7, 0), "\(configuration.hostname) Too many sessions, try again later")
            return try operations.addHandler(RefusalHandler(reply, policy: roster.policy, listenerIndex: index))
        }
        try operations.addHandler(
            ServerSessionHandler(roster: roster, configuration: configuration, listenerIndex: index))
    }
}

extension ListenFailure {
    fileprivate init(_ place: ServerListener.Place, _ error: any Error) {
        let code = (error as? IOError)?.errnoCode ?? 0
        let why = code == 0 ? "\(error)" : String(cString: strerror(code))
        let cure =
            switch code {
            case EACCES, EPERM: ". Bind it as root and pass it on, as mail-supervise does, or choose a port over 1023"
            case EADDRINUSE: ". Stop the program that listens there, or choose another port"
            case EADDRNOTAVAIL: ". Use an address of this machine"
            default: ""
            }
        self.init(description: "cannot listen on \(place): \(why)\(cure).", code: code)
    }
}

extension ServerListener.Place: CustomStringConvertible {
    public var description: String {
        switch self {
        case .descriptor(let descriptor): "inherited descriptor \(descriptor)"
        case .address(let address, let port): "\(address) port \(port)"
        case .unix(let path): path
        }
    }
}
