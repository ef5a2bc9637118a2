// Owns: serving sockets from ready to stopped. Refuses: what is accepted (ListenPolicy), where mail goes (QueueKit).

import CommandKit
import Logging
import QueueKit
import Transport

struct NetworkService {
    let setting: Setting
    let protection: Protection
    let readiness: Readiness
    let log: LogBuffer

    /// Transactions under way get this long after SIGTERM: at a reload they need not hurry (RFC 5321 §4.5.3.2 gives ten
    /// minutes for the last step). At a stop mail-supervise ends what lasts over 30 s; what was not acknowledged is
    /// the client's still.
    static let grace: Duration = .seconds(600)

    /// Serves until SIGTERM or SIGINT.
    func run(_ inherited: [InheritedSocket], openFiles: UInt64) throws {
        let logger = log.logger
        let signals = try StopSignals(log)
        let endpoints = try Endpoint.all(inherited, setting, logger)
        let store = try MailStore(setting, protection, logger: logger)
        let policy = try ListenPolicy(
            setting: setting, endpoints: endpoints.map { ($0.options, $0.tag) }, store: store, log: log)
        let server = try start(endpoints, policy, Self.limits(openFiles))
        announce(endpoints, logger)

        signals.wait()
        tell(logger) { () throws(CommandFailure) in try readiness.stopping() }
        finish { await server.shutdown(within: Self.grace) }
        store.close()
        logger.info("listen: stopped")
    }

    private func start(
        _ endpoints: [Endpoint], _ policy: ListenPolicy, _ limits: ServerLimits
    ) throws(CommandFailure) -> SMTPServer {
        let listeners = endpoints.map(\.listener)
        let started: Result<SMTPServer, ListenFailure> = finish {
            do throws(ListenFailure) {
                return .success(try await SMTPServer.start(listeners, policy: policy, limits: limits))
            } catch {
                return .failure(error)
            }
        }
        switch started {
        case .success(let server): return server
        case .failure(let error): throw CommandFailure(.osError, error.description)
        }
    }

    private func announce(_ endpoints: [Endpoint], _ logger: Logger) {
        let places = endpoints.map(\.place).joined(separator: " ")
        logger.info(
            "listen: ready", metadata: ["listeners": "\(places)", "spool": "\(setting.configuration.queueDirectory)"])
        tell(logger) { () throws(CommandFailure) in try readiness.ready(status: "Listening on \(places)") }
    }

    /// Mail goes on when whoever started us does not listen.
    private func tell(_ logger: Logger, _ notify: () throws(CommandFailure) -> Void) {
        do throws(CommandFailure) { try notify() } catch { logger.warning("\(error.sentence)") }
    }

    /// Each session has a socket and may have a file of its own for a large message; some are kept for ourselves.
    static func limits(_ openFiles: UInt64) -> ServerLimits {
        var limits = ServerLimits()
        let affordable = (Int(clamping: openFiles) - 64) / 2
        limits.sessions = max(10, min(limits.sessions, affordable))
        return limits
    }
}
