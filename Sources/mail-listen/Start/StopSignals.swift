// Owns: the signals that end a listener, and the main thread's wait for them. Refuses: what ending means.

import CommandKit
import QueueKit

/// The main thread stays out of Swift's concurrency: an asynchronous main hands it to libdispatch, which unblocks every
/// signal in it, and SIGTERM would end the process.
struct StopSignals: Sendable {
    /// SIGHUP would end a process that does not block it.
    static let handled: [Signal] = [.terminate, .interrupt, .hangup]

    private let cameIn = Monitor(false)

    /// SIGHUP changes nothing and is only logged: mail-supervise starts a new listener for a new configuration, and
    /// tables are read again when they change.
    init(_ log: LogBuffer) throws(CommandFailure) {
        let logger = log.logger
        try Signals.handle(Self.handled) { [cameIn] signal in
            guard signal == .hangup else { return cameIn.update { $0 = true } }
            logger.notice(
                "SIGHUP changes nothing here: tables are read again by themselves. Restart for a new configuration.")
        }
    }

    /// Returns after the first SIGTERM or SIGINT.
    func wait() { _ = cameIn.wait { $0 ? true : nil } }
}

/// Runs asynchronous work while the calling thread, which must be none of Swift's own, waits.
func finish<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) -> Value {
    let result = Monitor<Value?>(nil)
    Task.detached {
        let value = await body()
        result.update { $0 = value }
    }
    while true {
        if let value = result.wait(until: { $0 }) { return value }
    }
}
