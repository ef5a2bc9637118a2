// Owns: putting the runner together: configuration, tables, spool, network, control socket, signals; its orderly end.
// Refuses: what the runner does.

import CommandKit
import Glibc
import KeyKit
import Logging
import MailModel
import QueueKit
import Routing
import Transport

struct RelayProgram {
    let file: String?
    /// The configuration as mail-supervise handed it over, where this program may not read it.
    let bundle: [UInt8]?
    /// The keys that were handed over.
    let part: Secret?
    let readiness: Readiness
    let signals: SignalInbox
    private let log = Logger.pouch("mail-relay")

    init(file: String?, bundle: [UInt8]?, part: Secret?, readiness: Readiness, signals: SignalInbox) {
        (self.file, self.bundle, self.part, self.readiness, self.signals) = (file, bundle, part, readiness, signals)
    }

    func run(once: Bool) throws -> ExitStatus {
        let configuration = try Configuration.locate(option: file, bundle: bundle)
        let router = try Self.router(configuration, log)
        let layout = SpoolLayout(root: configuration.queueDirectory)
        let inbox = RunnerInbox()
        let reader = PassphraseReader(asksPeople: true) { [log] in log.warning("\($0)") }
        let keys = try QueueKeys(configuration, reader: reader).runnerKeys(part: part)
        let queue = try open(layout, configuration, keys, inbox)
        let pidFile = try PIDFile(layout)
        defer { pidFile.remove() }
        let control = try ControlDesk.open(layout, inbox, log)
        defer { control.stop() }
        let trigger = try TriggerWatch(layout, inbox)
        let threads = NetworkThreads()
        let carrier = Carrier(
            resolver: Resolver(configuration), threads: threads, hostname: Machine.name)
        let runner = try Runner(
            queue: queue, inbox: inbox, carrier: carrier, router: router, once: once, log: log,
            reload: { [file, bundle, log] in
                guard bundle == nil else {
                    log.error("configuration: not taken up: it was handed over. Send SIGHUP to mail-supervise.")
                    return nil
                }
                return Self.reloaded(file, log, first: configuration)
            })
        signals.forward(to: inbox)
        if !once { log.info("\(Self.banner(layout, queue))") }
        try readiness.ready(status: "running the queue \(layout.root)")
        runner.run()
        trigger.stop()
        try readiness.stopping()
        return once && (queue.count > 0 || queue.hasUnread) ? .temporaryFailure : .success
    }

    private static func banner(_ layout: SpoolLayout, _ queue: Queue) -> String {
        "queue: running \(layout.root) messages=\(queue.count)"
    }

    static func router(_ configuration: Configuration, _ log: Logger) throws -> Router {
        let tables = try TableSet(opening: configuration, report: { log.warning("\($0)") })
        return Router(configuration: configuration, tables: tables, localNames: EnvironmentFacts.localNames())
    }

    /// For SIGHUP: a broken configuration is logged, and the old one stays.
    /// The spool stays, and the agent's socket: nobody serves a new one before the next start.
    private static func reloaded(_ file: String?, _ log: Logger, first: Configuration) -> Router? {
        do {
            var configuration = try Configuration.locate(option: file).configuration
            if configuration.queueDirectory != first.queueDirectory || configuration.agentSocket != first.agentSocket {
                log.warning("configuration: queue directory and agent socket stay as they are until the next start")
            }
            if configuration.queueEncryption != first.queueEncryption
                || configuration.queueCompression != first.queueCompression
            {
                log.warning("configuration: queue encryption and compression stay as they are until the next start")
            }
            (configuration.queueDirectory, configuration.agentSocket) = (first.queueDirectory, first.agentSocket)
            let router = try router(configuration, log)
            log.info("configuration: taken up")
            return router
        } catch {
            log.error("configuration: not taken up: \(error)")
            return nil
        }
    }

    private func open(
        _ layout: SpoolLayout, _ configuration: Configuration, _ keys: RunnerKeys, _ inbox: RunnerInbox
    ) throws -> Queue {
        var options = QueueOptions(
            schedule: RetrySchedule(configuration), sizeLimit: Int64(configuration.maxMessageSize))
        (options.keys, options.protection) = (keys.ring, keys.protection)
        options.ledger = LedgerPlace(layout, path: configuration.queueEncryption?.ledger)
        do throws(QueueError) {
            return try Queue(
                layout, options, report: { inbox.post(.report($0)) }, wake: { inbox.post(.wake) })
        } catch {
            guard error.kind == .locked, let pid = PIDFile.read(layout) else { throw error }
            throw CommandFailure(
                .temporaryFailure,
                "cannot run the queue \(layout.root): mail-relay with pid \(pid) is its runner already. Stop it first.")
        }
    }
}

extension Resolver {
    convenience init(_ configuration: Configuration) {
        self.init(
            server: configuration.resolver.map { .init(address: $0.address, port: $0.port) },
            prefersIPv4: configuration.prefersIPv4)
    }
}
