// Owns: a connection to an SMTP or LMTP server as the tasks of a program see it. Refuses: choosing hosts (Resolver),
// trying again (the runner).

import Glibc
import MailModel
import NIOCore
import NIOPosix
import SMTPProtocol
import Synchronization

/// A session with another server, greeting and EHLO done; one transaction at a time.
///
/// ```swift
/// let connection = try await SMTPConnection.open(
///     to: .internet(address: "192.0.2.1", port: 25), configuration: ClientConfiguration(helo: "mail.example.org"),
///     connectTimeout: .seconds(30), on: threads)
/// let results = await connection.deliver(mail, content: source)
/// if connection.isReusable { ... } else { await connection.quit() }
/// ```
/// Cancelling a task that waits here closes the connection, and what it waits for ends as a temporary failure.
public final class SMTPConnection: Sendable {
    /// What was dialled.
    public let peer: PeerAddress
    /// The numeric address of our end; empty on a Unix socket.
    public let localAddress: String
    public let capabilities: PeerCapabilities

    private let channel: any Channel
    private let handler: NIOLoopBound<ClientSessionHandler>
    private let status: ConnectionStatus

    private init(
        peer: PeerAddress, channel: any Channel, handler: NIOLoopBound<ClientSessionHandler>, status: ConnectionStatus,
        capabilities: PeerCapabilities
    ) {
        self.peer = peer
        self.channel = channel
        self.handler = handler
        self.status = status
        self.capabilities = capabilities
        localAddress = channel.localAddress?.ipAddress ?? ""
    }

    deinit { Self.close(channel) }

    /// A channel that is closed already may have lost its event loop, too.
    private static func close(_ channel: any Channel) {
        if channel.isActive { channel.close(promise: nil) }
    }

    /// The peer's numeric address, or the path of its socket.
    public var peerAddress: String { peer.address }

    /// Whether another transaction may follow; it can become false at any moment, when the peer leaves.
    public var isReusable: Bool { status.isReusable }

    /// Connects and goes through greeting and EHLO.
    /// - Parameter source: a local numeric address of the peer's family to connect from; nil lets the kernel choose.
    public static func open(
        to peer: PeerAddress, source: String? = nil, configuration: ClientConfiguration,
        connectTimeout: Duration = .seconds(30), on threads: NetworkThreads
    ) async throws(SessionFailure) -> SMTPConnection {
        let dialled = DialledChannel()
        do {
            return try await withTaskCancellationHandler {
                try await open(peer, source, configuration, connectTimeout, threads.group.next(), dialled)
            } onCancel: {
                dialled.cancel()
            }
        } catch {
            throw failure(peer, source, error)
        }
    }

    /// Sends one message. Never throws: whatever goes wrong is the result of each recipient it concerns, in order.
    /// - Parameter content: read piece by piece, the next when the kernel has taken the one before.
    public func deliver(_ mail: OutgoingMail, content: some ContentSource) async -> [RecipientResult] {
        guard channel.isActive else { return Self.undelivered(mail) }
        return await withTaskCancellationHandler {
            let loop = channel.eventLoop
            var step = await wait { [handler] in handler.value.deliver(mail, on: loop) }
            if case .content = step { step = await stream(content) }
            guard case .finished(let results) = step else { return Self.undelivered(mail) }
            return results
        } onCancel: {
            Self.close(channel)
        }
    }

    /// Says QUIT, waits a few seconds for the answer, and closes.
    public func quit() async {
        guard channel.isActive else { return }
        await withTaskCancellationHandler {
            channel.eventLoop.execute { [handler] in handler.value.quit() }
            do { try await channel.closeFuture.get() } catch { return }
        } onCancel: {
            Self.close(channel)
        }
    }

    // MARK: Content

    /// Octets of content in one write; with the stuffed copy, all that one connection holds in memory.
    private static let blockSize = 64 << 10

    private func stream(_ content: some ContentSource) async -> ClientSessionHandler.Step {
        var stuffer = DotStuffer()
        do {
            while let piece = try await content.next() {
                for start in stride(from: 0, to: piece.count, by: Self.blockSize) {
                    let block = stuffer.encode(piece[start..<min(start + Self.blockSize, piece.count)])
                    guard await send(block) else { return await end(.peerClosed) }
                }
            }
        } catch {
            return await end(.contentFailed)
        }
        if !stuffer.endsWithLineEnd, await !send([13, 10]) { return await end(.peerClosed) }
        _ = stuffer.finish()
        // RFC 5321 §2.3.8: some servers take a bare LF for a line end, and content could then end its own message.
        guard !stuffer.hasBareLineEnd else { return Self.refuseBareLineEnds(await end(.contentFailed)) }
        return await end(.contentSent)
    }

    private func send(_ block: [UInt8]) async -> Bool {
        let loop = channel.eventLoop
        do {
            return try await loop.flatSubmit { [handler] in handler.value.send(block, on: loop) }.get()
        } catch {
            return false
        }
    }

    private func end(_ event: ClientEvent) async -> ClientSessionHandler.Step {
        let loop = channel.eventLoop
        return await wait { [handler] in handler.value.endContent(event, on: loop) }
    }

    private func wait(
        _ body: @escaping @Sendable () -> EventLoopFuture<ClientSessionHandler.Step>
    ) async -> ClientSessionHandler.Step {
        do { return try await channel.eventLoop.flatSubmit(body).get() } catch { return .content }
    }

    private static func refuseBareLineEnds(_ step: ClientSessionHandler.Step) -> ClientSessionHandler.Step {
        guard case .finished(let results) = step else { return step }
        let text = "the message holds a CR or LF alone, which SMTP can't carry"
        return .finished(
            results.map { result in
                guard result.result == .temporaryFailure else { return result }
                return RecipientResult(
                    result: .permanentFailure, status: EnhancedStatusCode(5, 6, 0), reply: text)
            })
    }

    /// Closed before the transaction, or the event loops were shut down under it.
    private static func undelivered(_ mail: OutgoingMail) -> [RecipientResult] {
        let text = "the connection was closed before the message could be sent"
        let result = RecipientResult(result: .temporaryFailure, status: EnhancedStatusCode(4, 4, 2), reply: text)
        return Array(repeating: result, count: mail.recipients.count)
    }
}

// MARK: - Connecting

extension SMTPConnection {
    private static func open(
        _ peer: PeerAddress, _ source: String?, _ configuration: ClientConfiguration, _ timeout: Duration,
        _ loop: any EventLoop, _ dialled: DialledChannel
    ) async throws -> SMTPConnection {
        let opening = loop.makePromise(of: PeerCapabilities.self)
        do {
            let handler = try await loop.submit {
                NIOLoopBound(ClientSessionHandler(configuration: configuration, opening: opening), eventLoop: loop)
            }.get()
            let channel = try await dial(peer, source, timeout, handler, loop, dialled)
            let status = try await loop.submit { handler.value.status }.get()
            return SMTPConnection(
                peer: peer, channel: channel, handler: handler, status: status,
                capabilities: try await opening.futureResult.get())
        } catch {
            opening.fail(error)  // Mostly it has failed already; but every promise must be kept.
            throw error
        }
    }

    private static func dial(
        _ peer: PeerAddress, _ source: String?, _ timeout: Duration, _ handler: NIOLoopBound<ClientSessionHandler>,
        _ loop: any EventLoop, _ dialled: DialledChannel
    ) async throws -> any Channel {
        var bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(.milliseconds(max(1, timeout.milliseconds)))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try dialled.keep(channel)
                    try channel.pipeline.syncOperations.addHandler(handler.value)
                }
            }
        if peer.isInternet { bootstrap = bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1) }
        if let source { bootstrap = bootstrap.bind(to: try SocketAddress(ipAddress: source, port: 0)) }
        return try await bootstrap.connect(to: try peer.socketAddress()).get()
    }

    private static func failure(_ peer: PeerAddress, _ source: String?, _ error: any Error) -> SessionFailure {
        if let failure = error as? SessionFailure { return failure }
        let why: String
        switch error {
        case let error as IOError where error.errnoCode == EADDRNOTAVAIL && source != nil:
            why = "\(source ?? "") is not an address of this machine"
        case let error as IOError: why = String(cString: strerror(error.errnoCode)).lowercased()
        case ChannelError.connectTimeout: why = "it did not answer in time"
        case is CancellationError: why = "the attempt was cancelled"
        default: why = "\(error)"
        }
        // RFC 3463 §3.5: X.4.1, no answer from host.
        return SessionFailure(
            result: .temporaryFailure, status: EnhancedStatusCode(4, 4, 1), reply: "cannot connect to \(peer): \(why)")
    }
}

/// The channel of an attempt under way, so that cancelling reaches it from any thread and at any moment.
private final class DialledChannel: Sendable {
    private let state = Mutex<(channel: (any Channel)?, isCancelled: Bool)>((nil, false))

    func keep(_ channel: any Channel) throws {
        let isCancelled = state.withLock { state in
            state.channel = channel
            return state.isCancelled
        }
        if isCancelled { throw CancellationError() }
    }

    func cancel() {
        let channel = state.withLock { state in
            state.isCancelled = true
            return state.channel
        }
        channel?.close(promise: nil)
    }
}
