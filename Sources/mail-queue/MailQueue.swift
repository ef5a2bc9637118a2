// Owns: the subcommands of mail-queue and the options they share. Refuses: what each does; each is a file.

import ArgumentParser
import CommandKit
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
            Init.self, List.self, Show.self, Cat.self, Flush.self, Hold.self, Release.self, Remove.self,
            Check.self,
        ])

    @OptionGroup var common: CommonOptions
}

/// `-C FILE`, before or after the subcommand.
struct CommonOptions: ParsableArguments {
    @Option(name: .customShort("C"), help: ArgumentHelp("Read this configuration.", valueName: "file"))
    var file: String?

    func loadConfiguration() throws -> Configuration {
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

    init(configuration: Configuration) {
        self.configuration = configuration
        layout = SpoolLayout(root: configuration.queueDirectory)
    }

    /// - Parameter prefix: only messages whose queue ID begins with it.
    func snapshot(prefix: String? = nil) throws(CommandFailure) -> QueueSnapshot {
        try queueCall { () throws(QueueError) in try QueueSnapshot(layout, prefix: prefix) }
    }
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
