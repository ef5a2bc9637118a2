// Owns: which configuration applies, and reading its files. Refuses: the grammar.

/// Which configuration was taken, and why.
public struct ConfigurationSearch: Hashable, Sendable, CustomStringConvertible {
    public enum Origin: Hashable, Sendable {
        /// `-C FILE`.
        case option
        /// `$POUCH_CONF`.
        case environment
        /// `/etc/pouch/pouch.conf`.
        case system
        case builtIn
    }
    public var origin: Origin
    /// nil for the built-in default.
    public var path: String?

    public static let systemPath = "/etc/pouch/pouch.conf"

    /// The order of search. Only a system file that does not exist leads to the built-in default; one that can't be
    /// read is an error later.
    public static func decide(option: String?, variable: String?, systemFileExists: Bool) -> ConfigurationSearch {
        if let option { return ConfigurationSearch(origin: .option, path: option) }
        if let variable, !variable.isEmpty { return ConfigurationSearch(origin: .environment, path: variable) }
        guard systemFileExists else { return ConfigurationSearch(origin: .builtIn, path: nil) }
        return ConfigurationSearch(origin: .system, path: systemPath)
    }

    public var description: String {
        switch origin {
        case .option: "\(path ?? ""), given with -C"
        case .environment: "\(path ?? ""), named by POUCH_CONF"
        case .system: "\(path ?? "")"
        case .builtIn: "the built-in default, as \(Self.systemPath) does not exist"
        }
    }
}

extension Configuration {
    /// 1 MiB: pages of rules; what is longer belongs into file tables.
    public static let fileLimit = 1 << 20

    /// Reads and checks one file and what it includes.
    public static func load(
        path: String, facts: EnvironmentFacts = .current()
    ) throws(ConfigurationError) -> Configuration {
        try ConfigurationFiles.load(path: path, facts: facts).configuration
    }

    /// Reads what was handed over when there is such a thing, else searches.
    ///
    /// - Parameter bundle: what `ConfigurationFiles.bundle` made.
    public static func locate(
        option: String?, bundle: [UInt8]?, facts: EnvironmentFacts = .current()
    ) throws(ConfigurationError) -> Configuration {
        guard let bundle else { return try locate(option: option, facts: facts).configuration }
        return try ConfigurationFiles.load(bundle: bundle, facts: facts).configuration
    }

    /// Searches as pouch.conf(5) says: `-C FILE`, `$POUCH_CONF`, the system's file, the built-in default.
    /// - Parameter option: the value of `-C`.
    public static func locate(
        option: String?, facts: EnvironmentFacts = .current()
    ) throws(ConfigurationError) -> (configuration: Configuration, search: ConfigurationSearch) {
        let (files, search) = try ConfigurationFiles.locate(option: option, facts: facts)
        return (files?.configuration ?? builtInDefault(facts), search)
    }
}

extension ConfigurationFiles {
    /// As `Configuration.locate`, with the texts; nil files stand for the built-in default.
    public static func locate(
        option: String?, facts: EnvironmentFacts = .current()
    ) throws(ConfigurationError) -> (files: ConfigurationFiles?, search: ConfigurationSearch) {
        guard option != "" else {
            throw ConfigurationError(file: "-C", message: "the path of the configuration is empty. Name a file.")
        }
        let exists = option == nil && TextFile.exists(ConfigurationSearch.systemPath)
        let search = ConfigurationSearch.decide(
            option: option, variable: facts.configurationVariable, systemFileExists: exists)
        guard let path = search.path else { return (nil, search) }
        return (try load(path: path, facts: facts), search)
    }
}
