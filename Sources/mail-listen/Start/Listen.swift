// Owns: the arguments of mail-listen and the order of its start. Refuses: everything else; each step is a file.

import ArgumentParser
import CommandKit
import KeyKit
import QueueKit
import Routing

struct Listen: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mail-listen",
        abstract: "Accepts mail by SMTP and stores it durably before it says so.",
        discussion: """
            Listens at the sockets it inherits (mail-supervise, systemd), else at those that pouch.conf names. With \
            --stdio it serves one session on standard input and output. Stays in the foreground; SIGTERM lets running \
            transactions finish.
            """,
        version: Version.text)

    @Option(name: .customShort("C"), help: ArgumentHelp("Read this configuration.", valueName: "file"))
    var file: String?

    @Flag(help: "Serve one session on standard input and output, as inetd wants it.")
    var stdio = false

    @Option(
        name: .customLong("ready-fd"),
        help: ArgumentHelp("Write a newline to this descriptor when all listeners accept.", valueName: "n"))
    var readyDescriptor: Int32?

    @Option(
        name: .customLong("key-fd"),
        help: ArgumentHelp("Take the writer key from this descriptor.", valueName: "n"))
    var keyDescriptor: Int32?

    @Option(
        name: .customLong("configuration-fd"),
        help: ArgumentHelp("Read the configuration from here (mail-supervise).", valueName: "n"))
    var configurationDescriptor: Int32?

    func validate() throws {
        guard stdio, readyDescriptor != nil else { return }
        throw ValidationError("--stdio and --ready-fd exclude each other: one session is never ready for more")
    }

    func run() throws {
        // Before any thread exists: one that does not block these signals could take one and end the process.
        try Signals.block(StopSignals.handled)
        let openFiles = Hardening.raiseDescriptorLimit()
        // Before the configuration is read, which may hold a passphrase.
        try Hardening.makeUndumpable()
        // Before any socket or thread: the descriptor is gone then.
        let part = try keyDescriptor.map { (number) throws(CommandFailure) in
            try HandedKeys.take(number, option: "--key-fd")
        }
        let bundle = try configurationDescriptor.map { (number) throws(CommandFailure) in
            try SealedMemory.take(number, option: "--configuration-fd", limit: ConfigurationFiles.bundleLimit)
        }
        let log = try LogBuffer.standardError()
        defer { log.flush() }
        guard !stdio else {
            let setting = try Setting(file: file, bundle: bundle, log: log)
            return try StdioService.run(setting, try protection(setting, part, log), log: log)
        }

        let inherited = try InheritedSocket.takeAll()
        let readiness = try Readiness(readyDescriptor: readyDescriptor)
        let setting = try Setting(file: file, bundle: bundle, log: log)
        let protection = try protection(setting, part, log)
        let service = NetworkService(setting: setting, protection: protection, readiness: readiness, log: log)
        try service.run(inherited, openFiles: openFiles)
    }

    /// Standard input is the session's with `--stdio`, and no passphrase is read from it.
    private func protection(_ setting: Setting, _ part: Secret?, _ log: LogBuffer) throws(CommandFailure) -> Protection
    {
        let reader = PassphraseReader(asksPeople: !stdio) { log.logger.warning("\($0)") }
        return try QueueKeys(setting.configuration, reader: reader).listenerProtection(part: part)
    }
}
