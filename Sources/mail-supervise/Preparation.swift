// Owns: the two steps of a start that others do: reading the configuration (Routing) and laying out the spool, which
// is `mail-queue init`'s job and nobody else's. Refuses: any knowledge of how they do it.

import CommandKit
import KeyKit
import QueueKit
import Routing

/// What was read, and what programs get of it that may not read it.
struct LoadedConfiguration {
    var values: Configuration
    /// nil when it holds no passphrase: then every program reads it itself.
    var bundle: [UInt8]?
}

/// What `mail-queue init` goes by.
enum KeySupply {
    /// No `queue encryption`.
    case none
    case passphrases(Passphrases)
    /// A passphrase that came once and is gone: its keys are there, and this is for submit.conf.
    case kept(PublicKey?)
}

enum Preparation {
    /// `-C FILE`, `$POUCH_CONF`, /etc/pouch/pouch.conf, then the built-in default.
    /// - Throws: 78 with file, line and cure.
    static func loadConfiguration(_ file: String?) throws(ConfigurationError) -> LoadedConfiguration {
        let (files, _) = try ConfigurationFiles.locate(option: file)
        return LoadedConfiguration(
            values: files?.configuration ?? .builtInDefault(.current()),
            // Programs of other users may not read a file that holds a passphrase.
            bundle: files.flatMap { $0.configuration.literalKeys.isEmpty ? nil : $0.bundle() })
    }

    /// Creates what is missing of the spool and its keys, checks owners and modes of what is there, writes submit.conf.
    /// - Throws: the status of `mail-queue init`, which has said why.
    static func prepareSpool(_ configuration: Configuration, _ keys: KeySupply) throws {
        try runInit(configuration, ["--quiet"], keys)
    }

    /// The same without changing anything; for `-n`.
    static func checkSpool(_ configuration: Configuration, _ keys: KeySupply) throws {
        try runInit(configuration, ["--quiet", "-n"], keys)
    }

    private static func runInit(_ configuration: Configuration, _ options: [String], _ keys: KeySupply) throws {
        let program = try ProgramPaths.executableSibling("mail-queue")
        let file = configuration.path.map { ["-C", $0] } ?? []
        var launch = ProcessLaunch(program, ["init"] + options + file)
        launch.environment = InheritedSocket.stripped(Environment.all())
        switch keys {
        case .none: break
        case .passphrases(let passphrases):
            launch.hand(
                try HandedKeys.memory("pouch-passphrases", passphrases.bundle), option: "--passphrase-fd")
        case .kept(let publicKey): launch.arguments += publicKey.map { ["--public-key", "\($0)"] } ?? []
        }
        switch try launch.start().wait() {
        case .exited(let status) where status == 0: return
        case .exited(let status): throw QuietExit(ExitStatus(rawValue: status) ?? .software)
        case .killed(let signal):
            throw CommandFailure(
                .temporaryFailure, "cannot prepare the spool: mail-queue was ended by signal \(signal).")
        }
    }
}
