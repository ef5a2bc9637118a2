// Owns: how signals reach a program: blocked everywhere, read in one place as plain values. Refuses: signal handlers,
// in which almost nothing may be called.

import CLinux
import Glibc
import SystemPackage

/// The signals that Pouch's programs act on.
public enum Signal: CaseIterable, Hashable, Sendable {
    case terminate, interrupt, hangup, child, user1

    public var number: Int32 {
        switch self {
        case .terminate: SIGTERM
        case .interrupt: SIGINT
        case .hangup: SIGHUP
        case .child: SIGCHLD
        case .user1: SIGUSR1
        }
    }

    init?(number: Int32) {
        guard let signal = Self.allCases.first(where: { $0.number == number }) else { return nil }
        self = signal
    }
}

public enum Signals {
    /// Writing to a reader that is gone is an error of write(2), EPIPE, from now on.
    public static func ignoreBrokenPipes() { _ = signal(SIGPIPE, SIG_IGN) }

    /// Blocks the signals in this thread and in every thread it starts later: call it first, from the main thread.
    public static func block(_ signals: [Signal] = Signal.allCases) throws(CommandFailure) {
        var set = Self.set(of: signals)
        let result = pthread_sigmask(SIG_BLOCK, &set, nil)
        guard result == 0 else { throw CommandFailure(.osError, "block signals", Errno(rawValue: result)) }
    }

    /// Blocks the signals, then calls `handler` for each that arrives, on a thread of its own that lives as long as
    /// the process. The handler may do anything a thread may.
    public static func handle(
        _ signals: [Signal], with handler: @escaping @Sendable (Signal) -> Void
    ) throws(CommandFailure) {
        try block(signals)
        try Thread.start {
            while true {
                var set = Self.set(of: signals)
                var number: Int32 = 0
                guard sigwait(&set, &number) == 0 else { return }
                if let signal = Signal(number: number) { handler(signal) }
            }
        }
    }

    static func set(of signals: [Signal]) -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal.number) }
        return set
    }
}

/// Blocked signals as something to poll: readable while one is pending. For programs with one loop and no threads.
public final class SignalDescriptor {
    /// Close-on-exec, not blocking; closed with this object.
    public let descriptor: Int32

    /// Blocks the signals as `Signals.block` does and collects them from now on.
    public init(_ signals: [Signal]) throws(CommandFailure) {
        try Signals.block(signals)
        let numbers = signals.map(\.number)
        descriptor = pouch_signal_descriptor(numbers, numbers.count)
        guard descriptor >= 0 else { throw CommandFailure(.osError, "make a descriptor for signals", .last) }
    }

    deinit { close(descriptor) }

    /// The next pending signal, nil when there is none.
    public func next() throws(CommandFailure) -> Signal? {
        let number = pouch_next_signal(descriptor)
        guard number >= 0 else { throw CommandFailure(.osError, "read a signal", .last) }
        return Signal(number: number)
    }
}

/// A detached thread.
package enum Thread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    package static func start(_ run: @escaping @Sendable () -> Void) throws(CommandFailure) {
        let body = Unmanaged.passRetained(Body(run))
        var thread = pthread_t()
        let entry: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { pointer in
            guard let pointer else { return nil }
            Unmanaged<Body>.fromOpaque(pointer).takeRetainedValue().run()
            return nil
        }
        let result = pthread_create(&thread, nil, entry, body.toOpaque())
        guard result == 0 else {
            body.release()
            throw CommandFailure(.osError, "start a thread", Errno(rawValue: result))
        }
        pthread_detach(thread)
    }
}
