// Owns: the subcommands of mail-queue and the options they share. Refuses: what each does; each is a file.

import ArgumentParser
import CommandKit
import KeyKit
import QueueKit
import Routing

struct MailQueue: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mail-queue",
        abstract: "Shows the mail queue and changes what is in it.",
        discussion: """
            Works with the queue's runner (mail-relay) at work and without it. Queue IDs may be shortened as long as \
            they name one message.
            """,
        version: Version.text,
        subcommands: [
            Init.self, List.self, Show.self, Cat.self, Flush.self, Hold.self, Release.self, Remove.self, Check.self,
            Keys.self, Rekey.self,
        ])

    @OptionGroup var common: CommonOptions
}

/// `-C FILE`, before or after the subcommand.
struct CommonOptions: ParsableArguments {
    @Option(name: .customShort("C"), help: ArgumentHelp("Read this configuration.", valueName: "file"))
    var file: String?

    func loadConfiguration() throws -> Configuration {
        // It may hold a passphrase.
        try Hardening.makeUndumpable()
        do {
            return try Configuration.locate(option: file).configuration
        } catch {
            // Several lines: the sentence, the line of the file, a caret.
            Diagnostic.print(
                lines: error.description.split(separator: "\n", omittingEmptySubsequences: false).map(String.init))
            throw QuietExit(.configuration)
        }
    }

    func openSpool() throws -> Spool { Spool(configuration: try loadConfiguration()) }
}

/// The spool that the configuration names.
struct Spool {
    let configuration: Configuration
    let layout: SpoolLayout
    let keys: SpoolKeys

    init(configuration: Configuration) {
        self.configuration = configuration
        layout = SpoolLayout(root: configuration.queueDirectory)
        keys = SpoolKeys(configuration)
    }

    var ledger: LedgerPlace { LedgerPlace(layout, path: configuration.queueEncryption?.ledger) }

    /// - Parameter prefix: only messages whose queue ID begins with it.
    func snapshot(prefix: String? = nil) throws(CommandFailure) -> QueueSnapshot {
        try queueCall { () throws(QueueError) in try QueueSnapshot(layout, prefix: prefix, keys: keys.reader) }
    }
}

/// Keys are got when they are needed, and once: it takes work, and may run a command.
final class SpoolKeys {
    private let keys: QueueKeys
    private var runnerKeys: RunnerKeys?

    init(_ configuration: Configuration) { keys = QueueKeys(configuration, reader: .silent) }

    /// What opens sealed mail; nil for a caller who may not have it: then that mail is counted, not shown.
    private(set) lazy var reader: KeyRing? = keys.ringIfAllowed { Diagnostic.print($0) }

    /// For working in the runner's place.
    ///
    /// - Throws: 78 when the queue is sealed and the key can't be had: what is moved must not be stored in clear.
    func runner() throws(CommandFailure) -> RunnerKeys {
        if let runnerKeys { return runnerKeys }
        let made = try keys.runnerKeys(part: nil)
        runnerKeys = made
        return made
    }
}

extension PassphraseReader {
    /// For commands that ask nobody; a short passphrase was told by those that do.
    static var silent: PassphraseReader { PassphraseReader(asksPeople: false, warn: { _ in }) }
    /// For `init`.
    static var telling: PassphraseReader { PassphraseReader(asksPeople: true, warn: { Diagnostic.print($0) }) }
}

/// What the spool says as what a program ends with.
func queueCall<Result>(_ body: () throws(QueueError) -> Result) throws(CommandFailure) -> Result {
    do throws(QueueError) { return try body() } catch { throw CommandFailure(error) }
}

extension CommandFailure {
    init(_ error: QueueError) {
        self.init(ExitStatus(rawValue: error.exitStatus) ?? .software, error.description)
    }
}
