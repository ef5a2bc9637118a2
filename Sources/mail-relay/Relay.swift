// Owns: the arguments of mail-relay and which of its three lives they choose. Refuses: living any of them.

import ArgumentParser
import CommandKit
import KeyKit
import Logging
import Routing

struct Relay: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mail-relay", abstract: "Runs the mail queue: picks up, routes, delivers, tries again.",
        discussion: """
            Without options it runs until SIGTERM. The runner of a spool is one process; a second one says who the \
            first is and ends with 75.
            """, version: Version.text)

    @Option(name: [.customShort("C")], help: ArgumentHelp("The configuration.", valueName: "file"))
    var file: String?

    @Flag(help: "Try everything that is due, then end: 0 nothing left, 75 something left.")
    var once = false

    @Flag(help: "Be the agent of local delivery instead of the runner.")
    var agent = false

    @Option(help: ArgumentHelp("Write a newline to this descriptor when ready.", valueName: "fd"))
    var readyFd: Int32?

    @Option(help: ArgumentHelp("Take the private key from this descriptor.", valueName: "fd"))
    var keyFd: Int32?

    @Option(help: ArgumentHelp("Read the configuration from here (mail-supervise).", valueName: "fd"))
    var configurationFd: Int32?

    func validate() throws {
        if agent && (keyFd != nil || configurationFd != nil) {
            throw ValidationError("--agent takes no keys: --key-fd and --configuration-fd are the runner's.")
        }
        if once && agent { throw ValidationError("--once and --agent exclude each other.") }
    }

    func run() throws {
        Hardening.setUmask(0o022)
        if agent { return try runAgent() }
        // Before the configuration is read, which may hold a passphrase, and before any socket or thread.
        try Hardening.makeUndumpable()
        let part = try keyFd.map { (number) throws(CommandFailure) in
            try HandedKeys.take(number, option: "--key-fd")
        }
        let bundle = try configurationFd.map { (number) throws(CommandFailure) in
            try SealedMemory.take(number, option: "--configuration-fd", limit: ConfigurationFiles.bundleLimit)
        }
        let signals = SignalInbox()
        try signals.start()
        Hardening.raiseDescriptorLimit()
        let readiness = try Readiness(readyDescriptor: readyFd)
        let program = RelayProgram(file: file, bundle: bundle, part: part, readiness: readiness, signals: signals)
        throw QuietExit(try program.run(once: once))
    }

    private func runAgent() throws {
        let sockets = try InheritedSocket.takeAll()
        let readiness = try Readiness(readyDescriptor: readyFd)
        let configuration = try Configuration.locate(option: file).configuration
        throw QuietExit(
            try Agent.run(
                configuration: configuration, sockets: sockets, readiness: readiness, log: .pouch("mail-relay")))
    }
}
