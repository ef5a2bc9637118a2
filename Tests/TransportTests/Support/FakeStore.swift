// Owns: a policy and store for tests that remember everything. Refuses: files.

import Glibc
import MailModel
import SMTPProtocol
import Synchronization

@testable import Transport

/// Asks again and again until something holds or the time is over; hands the thread on in between.
func eventually(_ limit: Duration = .seconds(10), _ condition: () async -> Bool) async -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if await condition() { return true }
        await Task.yield()
    }
    return await condition()
}

final class FakeStore: ServerPolicy {
    enum Mode: Sendable {
        case atOnce
        /// Decisions and commits come from another thread.
        case otherThread
        /// Every append pauses until `release()`.
        case pausing
        /// Each append pauses and goes on before `until` returns.
        case pausingBriefly
        case failing(Reply)
        /// Commits are answered by `release()`.
        case holdingCommits
    }

    struct State {
        var begun = 0
        var committed: [[UInt8]] = []
        var aborted = 0
        var appended = 0
        var connected = 0
        var reasons: [String] = []
        var refused: [String] = []
        var facts: [SessionFacts] = []
        var waiting: [@Sendable () -> Void] = []
        var isReleased = false
    }

    let mode: Mode
    let refusesRecipients: @Sendable (String) -> Reply?
    let state = Mutex(State())

    init(_ mode: Mode = .atOnce, refusing: @escaping @Sendable (String) -> Reply? = { _ in nil }) {
        (self.mode, refusesRecipients) = (mode, refusing)
    }

    func value<T: Sendable>(_ body: (borrowing State) -> T) -> T { state.withLock { body($0) } }

    /// Every message begun was ended in exactly one way.
    var isBalanced: Bool { value { $0.begun == $0.committed.count + $0.aborted } }

    /// Lets go of all who wait, now and later.
    func release() {
        let all = state.withLock { state in
            state.isReleased = true
            defer { state.waiting = [] }
            return state.waiting
        }
        all.forEach { $0() }
    }

    func wait(_ body: @escaping @Sendable () -> Void) {
        let isReleased = state.withLock { state in
            if !state.isReleased { state.waiting.append(body) }
            return state.isReleased
        }
        if isReleased { body() }
    }

    func answer(_ body: @escaping @Sendable () -> Void) {
        if case .otherThread = mode { startThread(body) } else { body() }
    }

    func connected(_ session: SessionFacts) { state.withLock { $0.connected += 1 } }

    func decideSender(
        _ sender: SenderRequest, _ session: SessionFacts, answer: @escaping @Sendable (Reply?) -> Void
    ) {
        state.withLock { $0.facts.append(session) }
        self.answer { answer(nil) }
    }

    func decideRecipient(
        _ recipient: RecipientRequest, of sender: SenderRequest, _ session: SessionFacts,
        answer: @escaping @Sendable (Reply?) -> Void
    ) {
        let reply = refusesRecipients(recipient.recipient.forwardPath.localPart)
        self.answer {
            answer(reply)
            answer(nil)  // A second answer must count for nothing.
        }
    }

    func beginMessage(_ transaction: Transaction, _ session: SessionFacts) -> any MessageReceiver {
        state.withLock { $0.begun += 1 }
        return FakeReceiver(self)
    }

    func refused(command: String, reply: Reply, _ session: SessionFacts) {
        state.withLock { $0.refused.append("\(command): \(reply.summary)") }
    }

    func disconnected(_ session: SessionFacts, reason: String) { state.withLock { $0.reasons.append(reason) } }
}

private final class FakeReceiver: MessageReceiver {
    private let store: FakeStore
    private let bytes = Mutex<[UInt8]>([])

    init(_ store: FakeStore) { self.store = store }

    func append(_ new: [UInt8]) -> ContentFlow {
        bytes.withLock { $0 += new }
        store.state.withLock { $0.appended += new.count }
        switch store.mode {
        case .pausing: return .pause { [store] goOn in store.wait(goOn) }
        case .pausingBriefly: return .pause { goOn in goOn() }
        case .failing(let reply): return .failed(reply)
        case .atOnce, .otherThread, .holdingCommits: return .more
        }
    }

    func commit(_ done: @escaping @Sendable ([Reply]) -> Void) {
        let content = bytes.withLock { $0 }
        store.state.withLock { $0.committed.append(content) }
        let replies = [Reply(250, EnhancedStatusCode(2, 0, 0), "stored")]
        switch store.mode {
        case .holdingCommits: store.wait { done(replies) }
        case .atOnce, .otherThread, .pausing, .pausingBriefly, .failing: store.answer { done(replies) }
        }
    }

    func abort() { store.state.withLock { $0.aborted += 1 } }
}

/// A server with a fake store on a free port of 127.0.0.1.
struct TestServer {
    let server: SMTPServer
    let store: FakeStore
    var port: UInt16 { server.ports[0] }

    init(
        _ store: FakeStore = FakeStore(), limits: ServerLimits = ServerLimits(),
        configure: (inout ServerConfiguration) -> Void = { _ in }
    ) async throws {
        var configuration = ServerConfiguration(hostname: "mx.example.test")
        configure(&configuration)
        self.store = store
        server = try await SMTPServer.start(
            [ServerListener(.address("127.0.0.1", port: 0), configuration: configuration)], policy: store,
            limits: limits)
    }

    func stop() async { await server.shutdown(within: .seconds(5)) }
}
