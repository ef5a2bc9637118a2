// Owns: what each program is started with: path, arguments, user, sockets. Refuses: when (SupervisionMachine).

import CommandKit
import KeyKit
import Logging
import QueueKit
import Routing

final class Services: SupervisionDelegate {
    let listeners: ListenerSockets
    let agentSocket: AgentSocket
    private let file: String?
    private var loaded: LoadedConfiguration
    private var configuration: Configuration { loaded.values }
    private var keys: ServiceKeys
    private var users: ServiceUsers
    private let environment: [String: String]
    private let readiness: Readiness
    /// By which `mail-queue rekey` finds us.
    private let pidFile: ServicePID
    private let log: Logger

    /// Does all of a start that can fail, in an order that leaves little behind: users, spool and keys, ports, socket.
    init(
        file: String?, configuration loaded: LoadedConfiguration, inherited: [InheritedSocket], readiness: Readiness,
        log: Logger
    ) throws {
        let configuration = loaded.values
        users = try ServiceUsers.resolve(configuration.superviseUsers)
        _ = try ServicePrograms()
        keys = try ServiceKeys.prepare(configuration, log) { try Preparation.prepareSpool(configuration, $0) }
        pidFile = try ServicePID(SpoolLayout(root: configuration.queueDirectory).supervisorPID)
        listeners = try ListenerSockets(inherited: inherited, configuration: configuration)
        agentSocket = try AgentSocket(path: configuration.agentSocket, users: users)
        environment = InheritedSocket.stripped(Environment.all())
        (self.file, self.loaded, self.readiness, self.log) = (file, loaded, readiness, log)
    }

    func launch(_ role: ServiceRole) throws(CommandFailure) -> ProcessLaunch {
        // Looked for at each start: an upgrade may have moved them.
        var launch = try ServicePrograms().launch(role, configuration: configuration.path)
        launch.environment = environment
        if configuration.path == nil {
            // The built-in default depends on who asks: the programs must mean the same spool and socket as we do.
            launch.environment["STATE_DIRECTORY"] = configuration.queueDirectory
            let folder = configuration.agentSocket.split(separator: "/").dropLast().map { "/\($0)" }.joined()
            launch.environment["RUNTIME_DIRECTORY"] = folder
        }
        switch role {
        case .agent:
            launch.listening = [agentSocket.inherited]
        case .relay:
            launch.identity = users.relayIdentity
            launch.describe(users.relay)
            try handOver(keys.relay, to: &launch)
        case .listener:
            launch.listening = listeners.sockets
            launch.identity = users.listenerIdentity
            launch.describe(users.listener)
            try handOver(keys.listener, to: &launch)
        }
        return launch
    }

    /// Its part of the keys and, where another user may not read it, the configuration.
    private func handOver(_ part: Secret?, to launch: inout ProcessLaunch) throws(CommandFailure) {
        if let part { launch.hand(try HandedKeys.memory("pouch-key", part), option: "--key-fd") }
        guard let bundle = loaded.bundle, launch.identity != nil else { return }
        launch.hand(try SealedMemory("pouch-configuration", bundle), option: "--configuration-fd")
    }

    func reload() throws(CommandFailure) -> Set<ServiceRole> {
        let freshly: LoadedConfiguration
        do throws(ConfigurationError) { freshly = try Preparation.loadConfiguration(file) } catch {
            throw CommandFailure(.configuration, error.lines.first ?? "cannot read the configuration.")
        }
        let fresh = freshly.values
        // The queue runner cannot change its spool under way, and a listener that stores elsewhere would take mail that
        // nobody delivers.
        guard fresh.queueDirectory == configuration.queueDirectory, fresh.agentSocket == configuration.agentSocket
        else {
            throw CommandFailure(
                .configuration,
                "\(EscapedText.plain(fresh.path ?? "the configuration")) names another queue directory or agent socket, "
                    + "which needs a restart.")
        }
        let freshUsers = try ServiceUsers.resolve(fresh.superviseUsers)
        let freshKeys = try prepareSpool(fresh)
        try listeners.update(to: fresh)
        let mustRestart =
            !freshKeys.relayMatches(keys) || fresh.queueEncryption != configuration.queueEncryption
            || fresh.queueCompression != configuration.queueCompression
            || (freshUsers.relayIdentity != nil && (freshly.bundle != nil || loaded.bundle != nil))
        (loaded, users, keys) = (freshly, freshUsers, freshKeys)
        return mustRestart ? [.relay] : []
    }

    /// submit.conf and spool.key follow the configuration. What is wrong with the spool stands in the log already.
    private func prepareSpool(_ fresh: Configuration) throws(CommandFailure) -> ServiceKeys {
        do {
            return try ServiceKeys.prepare(fresh, log, before: (configuration, keys)) {
                try Preparation.prepareSpool(fresh, $0)
            }
        } catch let failure as CommandFailure { throw failure } catch {
            throw CommandFailure(.configuration, "mail-queue init failed; its own message says why.")
        }
    }

    func becameReady() {
        let places = listeners.places.joined(separator: " ")
        log.info("supervise: ready", metadata: ["listeners": "\(places)", "spool": "\(configuration.queueDirectory)"])
        tell { () throws(CommandFailure) in try readiness.ready(status: "Listening on \(places)") }
    }

    func isStopping() {
        // No new connection waits in a backlog that nobody will empty.
        listeners.close()
        tell { () throws(CommandFailure) in try readiness.stopping() }
    }

    /// Mail goes on when the service manager does not listen.
    private func tell(_ notify: () throws(CommandFailure) -> Void) {
        do throws(CommandFailure) { try notify() } catch { log.warning("\(error.sentence)") }
    }
}

/// The programs beside this one.
struct ServicePrograms {
    private let listen: String
    private let relay: String

    init() throws(CommandFailure) {
        listen = try ProgramPaths.executableSibling("mail-listen")
        relay = try ProgramPaths.executableSibling("mail-relay")
    }

    func launch(_ role: ServiceRole, configuration: String?) -> ProcessLaunch {
        let arguments = configuration.map { ["-C", $0] } ?? []
        switch role {
        case .agent: return ProcessLaunch(relay, ["--agent"] + arguments)
        case .relay: return ProcessLaunch(relay, arguments)
        case .listener: return ProcessLaunch(listen, arguments)
        }
    }
}

extension ProcessLaunch {
    /// A program must not look for its files in root's home.
    fileprivate mutating func describe(_ account: Account?) {
        guard let account else { return }
        environment.merge(["USER": account.name, "LOGNAME": account.name, "HOME": account.home]) { $1 }
    }
}
