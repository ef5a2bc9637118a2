// Owns: the arguments of mail-supervise and the order of its start. Refuses: everything else; each step is a file.

import ArgumentParser
import CommandKit
import Logging
import Routing

struct Supervise: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mail-supervise",
        abstract: "Starts mail-listen, mail-relay and its agent, and keeps them running.",
        discussion: """
            Binds the listening sockets, starts each program with the user and the descriptors it needs, restarts \
            what ends, stops all in order at SIGTERM, and takes a new configuration at SIGHUP. Stays in the foreground.
            """,
        version: Version.text)

    @Option(name: .customShort("C"), help: ArgumentHelp("Read this configuration.", valueName: "file"))
    var file: String?

    @Flag(name: .customShort("n"), help: "Check all a start would, say what would run, and start nothing.")
    var checkOnly = false

    @Option(
        name: .customLong("ready-fd"),
        help: ArgumentHelp("Write a newline to this descriptor when all programs are ready.", valueName: "n"))
    var readyDescriptor: Int32?

    func run() throws {
        // Before anything that another user may read or change is made: modes are what the code names.
        Hardening.setUmask(0o022)
        Hardening.raiseDescriptorLimit()
        // Before the configuration is read, which may hold a passphrase.
        try Hardening.makeUndumpable()
        let inherited = try InheritedSocket.takeAll()
        let configuration = try Preparation.loadConfiguration(file)
        let log = Logger.pouch("mail-supervise")
        guard !checkOnly else {
            return try Check(configuration: configuration.values, log: log, inherited: inherited).run()
        }

        let readiness = try Readiness(readyDescriptor: readyDescriptor)
        let services = try Services(
            file: file, configuration: configuration, inherited: inherited, readiness: readiness, log: log)
        let roles = ServiceRole.allCases.filter { $0 != .listener || !services.listeners.sockets.isEmpty }
        defer { services.agentSocket.remove() }
        try SupervisionLoop(roles: roles, delegate: services, log: log).run()
        log.info("supervise: stopped")
    }
}
