// Owns: one message between DATA and its reply: its Received line, its hops, its way into the spool. Refuses: the
// envelope's recipients (RecipientJudge), durability (QueueKit).

import MailModel
import QueueKit
import SMTPProtocol
import Synchronization
import Transport

/// What the log tells of a stored message.
struct StoredMail: Sendable {
    var session: SessionFacts
    var envelope: Envelope
    /// Octets, our Received line included.
    var size: Int
}

final class IncomingMail: MessageReceiver {
    private struct Progress {
        var size = 0
        var hops = HopCounter()
    }

    private let message: IncomingMessage
    private let store: MailStore
    private let session: SessionFacts
    private let envelope: Envelope
    private let valve: Valve
    private let progress = Mutex(Progress())
    private let finished: @Sendable (StoredMail, Reply) -> Void

    /// - Parameter finished: told after the sender was answered.
    init(
        _ envelope: Envelope, trace: [UInt8], session: SessionFacts, store: MailStore,
        finished: @escaping @Sendable (StoredMail, Reply) -> Void
    ) {
        let valve = Valve()
        message = store.begin(envelope) { valve.open() }
        (self.envelope, self.session, self.store, self.valve) = (envelope, session, store, valve)
        self.finished = finished
        progress.withLock { $0.size = trace.count }
        // A failure so early is told by the next call.
        _ = message.append(trace)
    }

    func append(_ bytes: [UInt8]) -> ContentFlow {
        let loops = progress.withLock { progress in
            progress.size += bytes.count
            progress.hops.read(bytes)
            return progress.hops.isLoop
        }
        guard !loops else { return .failed(HopCounter.reply) }
        switch message.append(bytes) {
        case .more: return .more
        case .pause: return .pause { [valve] goOn in valve.wait(goOn) }
        case .failed(let error): return .failed(store.reply(for: error))
        }
    }

    func commit(_ done: @escaping @Sendable ([Reply]) -> Void) {
        let size = progress.withLock { $0.size }
        message.commit { [envelope, session, store, finished] result in
            let reply: Reply
            switch result {
            case .success:
                reply = Reply(250, EnhancedStatusCode(2, 0, 0), "\(envelope.id) Message accepted for delivery")
            case .failure(let error): reply = store.reply(for: error)
            }
            done([reply])
            if reply.isPositive { store.succeeded() }
            finished(StoredMail(session: session, envelope: envelope, size: size), reply)
        }
    }

    func abort() { message.abort() }
}

/// Lets a paused session go on once, whichever comes first: the session's wish to wait or the store's word.
final class Valve: Sendable {
    private enum State {
        case shut
        case open
        case waiting(@Sendable () -> Void)
    }
    private let state = Mutex(State.shut)

    func open() {
        let goOn: (@Sendable () -> Void)? = state.withLock { state in
            guard case .waiting(let goOn) = state else {
                state = .open
                return nil
            }
            state = .shut
            return goOn
        }
        goOn?()
    }

    func wait(_ goOn: @escaping @Sendable () -> Void) {
        let isOpen = state.withLock { state in
            guard case .open = state else {
                state = .waiting(goOn)
                return false
            }
            state = .shut
            return true
        }
        if isOpen { goOn() }
    }
}
