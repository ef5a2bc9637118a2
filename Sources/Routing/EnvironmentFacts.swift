// Owns: what a configuration's defaults depend on besides its text. Refuses: asking the system (programs do) except in
// `current()`.

import Glibc

/// Who runs and where, as values, so that defaults can be tested.
public struct EnvironmentFacts: Hashable, Sendable {
    public var uid: UInt32
    /// `$HOME`, or the account's; nil when neither is known.
    public var home: String?
    /// `$XDG_STATE_HOME`; a relative one is ignored, as its specification asks.
    public var stateHome: String?
    /// `$POUCH_CONF`.
    public var configurationVariable: String?
    /// `$STATE_DIRECTORY` and `$RUNTIME_DIRECTORY`, as a service manager sets them, and mail-supervise for programs it
    /// starts as other users: with them all agree on one spool and one socket. The first of a list counts.
    public var stateDirectory: String?
    public var runtimeDirectory: String?

    public init(
        uid: UInt32, home: String? = nil, stateHome: String? = nil, configurationVariable: String? = nil,
        stateDirectory: String? = nil, runtimeDirectory: String? = nil
    ) {
        (self.uid, self.home, self.stateHome) = (uid, home, stateHome)
        self.configurationVariable = configurationVariable
        (self.stateDirectory, self.runtimeDirectory) = (stateDirectory, runtimeDirectory)
    }

    /// The facts of this process.
    public static func current() -> EnvironmentFacts {
        let account = SystemUsers.account(uid: geteuid())
        return EnvironmentFacts(
            uid: geteuid(), home: variable("HOME") ?? account?.home, stateHome: variable("XDG_STATE_HOME"),
            configurationVariable: variable("POUCH_CONF"), stateDirectory: directory("STATE_DIRECTORY"),
            runtimeDirectory: directory("RUNTIME_DIRECTORY"))
    }

    /// The machine's own names, which `for local` means beside `localhost`: as gethostname(3) gives it, and its first
    /// label. No server is asked.
    public static func localNames() -> [String] {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return [] }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard Values.isDomain(name) else { return [] }
        let label = name.prefix { $0 != "." }
        return label == name ? [name] : [name, String(label)]
    }

    private static func directory(_ name: String) -> String? {
        let first = variable(name)?.split(separator: ":").first.map(String.init)
        return first.flatMap { $0.hasPrefix("/") ? $0 : nil }
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    public var isRoot: Bool { uid == 0 }

    /// `$STATE_DIRECTORY`, or `/var/spool/pouch` for root, else `pouch` in the user's folder of state.
    public var defaultQueueDirectory: String {
        if let stateDirectory { return stateDirectory }
        guard !isRoot else { return "/var/spool/pouch" }
        if let stateHome, stateHome.hasPrefix("/") { return stateHome + "/pouch" }
        guard let home, home.hasPrefix("/") else { return "/var/spool/pouch" }
        return (home == "/" ? "" : home) + "/.local/state/pouch"
    }
}

extension EnvironmentFacts {
    /// The agent's socket of the built-in default.
    var defaultAgentSocket: String {
        if let runtimeDirectory { return "\(runtimeDirectory)/agent.sock" }
        return isRoot ? "/run/pouch/agent.sock" : "\(defaultQueueDirectory)/run/agent.sock"
    }
}

extension Configuration {
    /// What works without any file: local users get their mail in ~/Maildir, all other mail goes out by MX, and only
    /// local submitters may send. Nothing listens.
    public static func builtInDefault(_ facts: EnvironmentFacts) -> Configuration {
        let spool = facts.defaultQueueDirectory
        var configuration = Configuration(
            queueDirectory: spool, agentSocket: facts.defaultAgentSocket)
        if !facts.isRoot { configuration.superviseUsers = .none }
        configuration.actions = [
            "local": Action(name: "local", method: .maildir(path: nil)),
            "outbound": Action(name: "outbound", method: .relay(Action.Relay())),
        ]
        configuration.rules = [
            Rule(conditions: [.init(.fromLocal), .init(.forLocal)], outcome: .action("local"), line: 0),
            Rule(conditions: [.init(.fromLocal), .init(.forAny)], outcome: .action("outbound"), line: 0),
        ]
        return configuration
    }
}
