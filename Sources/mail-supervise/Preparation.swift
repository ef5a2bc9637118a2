// Owns: the two steps of a start that others do: reading the configuration (Routing) and laying out the spool, which
// is `mail-queue init`'s job and nobody else's. Refuses: any knowledge of how they do it.

import CommandKit
import Routing

enum Preparation {
    /// `-C FILE`, `$POUCH_CONF`, /etc/pouch/pouch.conf, then the built-in default.
    /// - Throws: 78 with file, line and cure.
    static func loadConfiguration(_ file: String?) throws(ConfigurationError) -> Configuration {
        try Configuration.locate(option: file).configuration
    }

    /// Creates what is missing of the spool, checks owners and modes of what is there, writes submit.conf.
    /// - Throws: the status of `mail-queue init`, which has said why.
    static func prepareSpool(_ configuration: Configuration) throws { try runInit(configuration, ["--quiet"]) }

    /// The same without changing anything; for `-n`.
    static func checkSpool(_ configuration: Configuration) throws { try runInit(configuration, ["--quiet", "-n"]) }

    private static func runInit(_ configuration: Configuration, _ options: [String]) throws {
        let program = try ProgramPaths.executableSibling("mail-queue")
        let file = configuration.path.map { ["-C", $0] } ?? []
        var launch = ProcessLaunch(program, ["init"] + options + file)
        launch.environment = InheritedSocket.stripped(Environment.all())
        switch try launch.start().wait() {
        case .exited(let status) where status == 0: return
        case .exited(let status): throw QuietExit(ExitStatus(rawValue: status) ?? .software)
        case .killed(let signal):
            throw CommandFailure(
                .temporaryFailure, "cannot prepare the spool: mail-queue was ended by signal \(signal).")
        }
    }
}
