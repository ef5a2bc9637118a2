// Owns: the signals that end a listener, as a sequence to await. Refuses: what ending means.

import CommandKit

enum StopSignals {
    /// SIGHUP would end a process that does not block it.
    static let handled: [Signal] = [.terminate, .interrupt, .hangup]

    /// SIGTERM and SIGINT as they come. SIGHUP changes nothing and is only logged: mail-supervise starts a new listener
    /// for a new configuration, and tables are read again when they change.
    static func sequence(_ log: LogBuffer) throws(CommandFailure) -> AsyncStream<Signal> {
        let (stream, continuation) = AsyncStream.makeStream(of: Signal.self)
        let logger = log.logger
        try Signals.handle(handled) { signal in
            guard signal == .hangup else {
                continuation.yield(signal)
                return
            }
            logger.notice(
                "SIGHUP changes nothing here: tables are read again by themselves. Restart for a new configuration.")
        }
        return stream
    }
}
