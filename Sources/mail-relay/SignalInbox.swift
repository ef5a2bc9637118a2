// Owns: signals that come before there is anybody to tell, and telling whoever is there. Refuses: acting on them.

import CommandKit
import Synchronization

/// Blocks the signals at the very start; hands them on once somebody listens.
final class SignalInbox: Sendable {
    private struct State {
        var early: [Signal] = []
        var listener: (@Sendable (Signal) -> Void)?
    }
    private let state = Mutex(State())

    /// Call it from the main thread before any other thread starts.
    func start() throws(CommandFailure) {
        Signals.ignoreBrokenPipes()
        try Signals.handle([.terminate, .interrupt, .hangup]) { [self] signal in
            let listener = state.withLock { state in
                if state.listener == nil { state.early.append(signal) }
                return state.listener
            }
            listener?(signal)
        }
    }

    func listen(_ listener: @escaping @Sendable (Signal) -> Void) {
        let early = state.withLock { state in
            defer { state.early = [] }
            state.listener = listener
            return state.early
        }
        for signal in early { listener(signal) }
    }

    func forward(to inbox: RunnerInbox) {
        listen { signal in
            switch signal {
            case .terminate, .interrupt: inbox.post(.stop)
            case .hangup: inbox.post(.reload)
            case .child, .user1: break
            }
        }
    }
}
