// Owns: what the sessions of one server share: its policy, its limits, who is there. Refuses: threads; it lives on the
// server's one event loop.

import NIOCore
import SMTPProtocol
import Synchronization

/// Bounds of a server.
public struct ServerLimits: Hashable, Sendable {
    /// Sessions at once over all listeners; one more gets 421 4.7.0.
    public var sessions = 1000
    /// How long a peer may take for its next command or the next piece of its content (RFC 5321 §4.5.3.2.7).
    public var idleTimeout: Duration = .seconds(300)
    /// How long a closing connection may take for our last reply.
    public var lingerTimeout: Duration = .seconds(5)

    public init() {}

    var idle: TimeAmount { .milliseconds(max(1, idleTimeout.milliseconds)) }
    var linger: TimeAmount { .milliseconds(max(1, lingerTimeout.milliseconds)) }
}

/// Keeps answers that come too late away from an event loop that is gone.
final class LoopGate: Sendable {
    private let isOpen = Mutex(true)

    func execute(on loop: any EventLoop, _ body: @escaping @Sendable () -> Void) {
        isOpen.withLock { if $0 { loop.execute(body) } }
    }

    func close() { isOpen.withLock { $0 = false } }
}

final class ServerRoster {
    let gate = LoopGate()
    let policy: any ServerPolicy
    let limits: ServerLimits
    private var sessions: [ObjectIdentifier: ServerSessionHandler] = [:]
    private var empty: EventLoopPromise<Void>?

    init(policy: any ServerPolicy, limits: ServerLimits) {
        self.policy = policy
        self.limits = limits
    }

    var isClosing: Bool { empty != nil }
    var isFull: Bool { sessions.count >= limits.sessions }
    var count: Int { sessions.count }

    func add(_ session: ServerSessionHandler) { sessions[ObjectIdentifier(session)] = session }

    func remove(_ session: ServerSessionHandler) {
        sessions[ObjectIdentifier(session)] = nil
        if sessions.isEmpty { empty?.succeed() }
    }

    /// Tells every session that the program stops; `promise` is kept when the last is gone.
    func shutDown(_ promise: EventLoopPromise<Void>) {
        guard empty == nil else { return promise.fail(ChannelError.operationUnsupported) }
        empty = promise
        // A copy: sessions leave while they are told.
        for session in Array(sessions.values) { session.shutDown() }
        if sessions.isEmpty { promise.succeed() }
    }

    func dropAll() {
        for session in Array(sessions.values) { session.drop() }
    }
}
