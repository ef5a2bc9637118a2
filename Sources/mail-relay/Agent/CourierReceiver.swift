// Owns: how much content waits in memory for the processes that write it. Refuses: the processes (Delivery).

import SMTPProtocol
import Synchronization
import Transport

/// Counts the octets of one message that no process has taken yet; over the limit the session stops reading.
final class Backlog: Sendable {
    /// Two reads of a session more may come after it said stop.
    static let limit = 256 << 10

    private struct State {
        var octets = 0
        var goOn: (@Sendable () -> Void)?
    }
    private let state = Mutex(State())

    var isOver: Bool { state.withLock { $0.octets > Self.limit } }

    /// Calls `goOn` when half of the limit is free: at once, when it is already.
    func wait(_ goOn: @escaping @Sendable () -> Void) {
        let isFree = state.withLock { state in
            if state.octets > Self.limit / 2 { state.goOn = goOn }
            return state.octets <= Self.limit / 2
        }
        if isFree { goOn() }
    }

    fileprivate func add(_ octets: Int) { state.withLock { $0.octets += octets } }

    fileprivate func take(_ octets: Int) {
        let goOn = state.withLock { state -> (@Sendable () -> Void)? in
            state.octets -= octets
            guard state.octets <= Self.limit / 2 else { return nil }
            defer { state.goOn = nil }
            return state.goOn
        }
        goOn?()
    }
}

/// A piece of content. All processes of a message share it; it leaves the backlog when the last has taken it.
final class Chunk: Sendable {
    let bytes: [UInt8]
    private let backlog: Backlog

    init(_ bytes: [UInt8], _ backlog: Backlog) {
        (self.bytes, self.backlog) = (bytes, backlog)
        backlog.add(bytes.count)
    }

    deinit { backlog.take(bytes.count) }
}

/// What the session gives its content to.
final class CourierReceiver: MessageReceiver {
    private let number: UInt64
    private let courier: Courier
    private let backlog = Backlog()

    init(_ number: UInt64, _ courier: Courier) { (self.number, self.courier) = (number, courier) }

    func append(_ bytes: [UInt8]) -> ContentFlow {
        courier.post(.content(number, Chunk(bytes, backlog)))
        return backlog.isOver ? .pause { [backlog] goOn in backlog.wait(goOn) } : .more
    }

    func commit(_ done: @escaping @Sendable ([Reply]) -> Void) { courier.post(.commit(number, done)) }
    func abort() { courier.post(.abort(number)) }
}
