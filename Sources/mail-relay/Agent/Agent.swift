// Owns: `mail-relay --agent` from start to stop. Refuses: arguments (the command has them), everything between: policy,
// lookups, deliveries are files of their own.

import CommandKit
import Glibc
import Logging
import Routing
import SMTPProtocol
import Transport

/// Local delivery: takes messages over LMTP (RFC 2033) on a Unix socket and writes them as the recipient.
enum Agent {
    /// A process that starts deliveries needs no more; a runner opens a few.
    private static let sessionLimit = 100
    /// Recipients of one transaction; each has a process of its own at the same time, with three pipes.
    private static let recipientLimit = 100
    /// At a reload the old agent need not hurry; at a stop mail-supervise ends what lasts over 30 s.
    private static let shutdownLimit = Duration.seconds(600)

    /// Serves until SIGTERM or SIGINT, then finishes the deliveries under way. Call it from the main thread, before
    /// others start.
    /// - Parameters:
    ///   - sockets: inherited ones; empty binds `configuration.agentSocket`.
    ///   - delivery: the program that delivers; it is called with `--deliver` alone.
    /// - Throws: CommandFailure with the status for the process.
    static func run(
        configuration: Configuration, sockets: [InheritedSocket], readiness: Readiness, log: Logger,
        delivery: String = "/proc/self/exe"
    ) throws -> ExitStatus {
        let signals = try SignalDescriptor([.terminate, .interrupt, .hangup])
        try configuration.requireTrusted(by: geteuid())
        let tables = try TableSet(opening: configuration) { log.warning("\($0)") }
        let runner = try AgentListener.runner(configuration)
        let courier = try Courier(log: log) {
            var launch = ProcessLaunch(delivery, ["--deliver"])
            launch.name = "mail-relay"
            return launch
        }
        let policy = AgentPolicy(
            peers: Set([0, geteuid()] + (runner.map { [$0.uid] } ?? [])),
            lookup: RecipientLookup(configuration: configuration, tables: tables, ownUID: geteuid()),
            courier: courier, log: log)
        let listener = try AgentListener(inherited: sockets, configuration: configuration, runner: runner)
        defer { listener.remove() }
        let server = try start(listener, policy)
        log.info("agent ready", metadata: ["socket": "\(configuration.agentSocket)"])
        try readiness.ready(status: "Delivering local mail")
        try waitForEnd(signals, log)
        try readiness.stopping()
        Blocking.run { await server.shutdown(within: shutdownLimit) }
        courier.stop()
        log.info("agent stopped")
        return .success
    }

    private static func start(_ listener: AgentListener, _ policy: AgentPolicy) throws(CommandFailure) -> SMTPServer {
        var serving = ServerConfiguration(hostname: MaildirName.next().host)
        serving.flavour = .lmtp
        serving.takesAction = true
        // What the queue has taken is not refused here for its size, nor a session for its length.
        serving.maxMessageSize = 1 << 40
        serving.maxMails = .max
        serving.maxRecipients = recipientLimit
        let listeners = listener.descriptors.map { [serving] in
            ServerListener(.descriptor($0), configuration: serving)
        }
        var limits = ServerLimits()
        limits.sessions = sessionLimit
        let result = Blocking.run { [limits] in
            do throws(ListenFailure) {
                return Result<SMTPServer, ListenFailure>.success(
                    try await SMTPServer.start(listeners, policy: policy, limits: limits))
            } catch {
                return .failure(error)
            }
        }
        do { return try result.get() } catch { throw CommandFailure(.osError, error.description) }
    }

    private static func waitForEnd(_ signals: SignalDescriptor, _ log: Logger) throws(CommandFailure) {
        while true {
            var entry = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&entry, 1, -1) >= 0 || errno == EINTR else {
                throw CommandFailure(.osError, "wait for signals", .lastCall)
            }
            switch try signals.next() {
            case .terminate, .interrupt: return
            case .hangup: log.warning("the agent takes a new configuration when it is started anew")
            case .child, .user1, nil: continue
            }
        }
    }
}

/// Waiting for an asynchronous function in a program that has a main thread of its own.
enum Blocking {
    /// - Parameter body: runs on the threads of Swift's tasks, so the caller's must not be one of these.
    static func run<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) -> Value {
        let box = Box<Value>()
        Task.detached { box.put(await body()) }
        return box.take()
    }

    private final class Box<Value: Sendable>: @unchecked Sendable {
        // Sendable by proof: `value` is written once before sem_post and read after sem_wait, which orders the two; the
        // pointer never changes.
        private var value: Value?
        private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

        init() { sem_init(semaphore, 0, 0) }

        deinit {
            sem_destroy(semaphore)
            semaphore.deallocate()
        }

        func put(_ value: Value) {
            self.value = value
            sem_post(semaphore)
        }

        func take() -> Value {
            while true {
                // EINTR, or nothing put yet: wait again.
                if sem_wait(semaphore) == 0, let value { return value }
            }
        }
    }
}
