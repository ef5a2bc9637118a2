// Owns: `--stdio`: one session on standard input and output, and who its client is. Refuses: the session (Transport).

import CommandKit
import Glibc
import Logging
import QueueKit
import Routing
import Transport

enum StdioService {
    /// Serves the session to its end. A signal ends it at once: what was acknowledged is durable, and what was not
    /// leaves no trace.
    static func run(_ setting: Setting, _ protection: Protection, log: LogBuffer) throws {
        try Signals.handle(StopSignals.handled) { _ in
            log.flush()
            _exit(ExitStatus.temporaryFailure.rawValue)
        }
        let logger = log.logger
        // Each message goes into a file of its own, which needs one sync less than opening a segment for many.
        var limits = IntakeLimits()
        limits.gatheredMessageBytes = 0
        let store = try MailStore(setting, protection, limits: limits, logger: logger)
        let listener = setting.configuration.listeners.first
        let options = Endpoint.options(listener, setting)
        let policy = try ListenPolicy(
            setting: setting, endpoints: [(options, listener?.tag)], store: store, log: log)
        StdioSession(
            configuration: options, policy: policy,
            facts: client(SessionFacts(descriptor: STDIN_FILENO), environment: Environment.all())
        ).run()
        store.close()
    }

    /// The client's address, by systemd, UCSPI and socat in this order.
    private static let variables = [
        (address: "REMOTE_ADDR", port: "REMOTE_PORT"), (address: "TCPREMOTEIP", port: "TCPREMOTEPORT"),
        (address: "SOCAT_PEERADDR", port: "SOCAT_PEERPORT"),
    ]

    /// An internet socket knows its peer. For anything else (a pipe, the socket pair of a program in between) whoever
    /// started us may have named the client; a client it named badly is nobody's neighbour, so never a local one.
    static func client(_ facts: SessionFacts, environment: [String: String]) -> SessionFacts {
        guard facts.clientAddress == "local" else { return facts }
        for (address, port) in variables {
            guard let text = environment[address], !text.isEmpty else { continue }
            var named = facts
            named.clientAddress = IPAddress(text).map { "\($0)" } ?? "unknown"
            named.clientPort = environment[port].flatMap { UInt16($0) } ?? 0
            named.isUnix = false
            return named
        }
        return facts
    }
}
