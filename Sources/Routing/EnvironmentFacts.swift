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

    public init(
        uid: UInt32, home: String? = nil, stateHome: String? = nil, configurationVariable: String? = nil
    ) {
        (self.uid, self.home, self.stateHome) = (uid, home, stateHome)
        self.configurationVariable = configurationVariable
    }

    /// The facts of this process.
    public static func current() -> EnvironmentFacts {
        let account = SystemUsers.account(uid: geteuid())
        return EnvironmentFacts(
            uid: geteuid(), home: variable("HOME") ?? account?.home, stateHome: variable("XDG_STATE_HOME"),
            configurationVariable: variable("POUCH_CONF"))
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

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    public var isRoot: Bool { uid == 0 }

    /// `/var/spool/pouch` for root, else `pouch` in the user's folder of state.
    public var defaultQueueDirectory: String {
        guard !isRoot else { return "/var/spool/pouch" }
        if let stateHome, stateHome.hasPrefix("/") { return stateHome + "/pouch" }
        guard let home, home.hasPrefix("/") else { return "/var/spool/pouch" }
        return (home == "/" ? "" : home) + "/.local/state/pouch"
    }
}

extension Configuration {
    /// What works without any file: local users get their mail in ~/Maildir, all other mail goes out by MX, and only
    /// local submitters may send. Nothing listens.
    public static func builtInDefault(_ facts: EnvironmentFacts) -> Configuration {
        let spool = facts.defaultQueueDirectory
        var configuration = Configuration(
            queueDirectory: spool, agentSocket: facts.isRoot ? "/run/pouch/agent.sock" : "\(spool)/run/agent.sock")
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
