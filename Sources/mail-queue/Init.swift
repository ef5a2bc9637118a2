// Owns: `mail-queue init`: the spool of the configuration, made or looked over, and submit.conf. Refuses: mail that is
// there already; it is never touched.

import ArgumentParser
import CommandKit
import Glibc
import QueueKit
import Routing

struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Creates the spool, or checks the one there is.",
        discussion: """
            Makes what is missing of the spool that the configuration names, checks owner and mode of every part, and \
            writes submit.conf beside the configuration, for mail-enqueue. May be repeated; mail is never touched.
            """)

    @Flag(help: "Set wrong owners and modes right.")
    var fix = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        Hardening.setUmask(0o022)
        let configuration = try common.loadConfiguration()
        let layout = SpoolLayout(root: configuration.queueDirectory)
        let owners = try SpoolAccounts.owners(of: layout, configuration.superviseUsers)
        try create(layout, owners)
        let isHealthy = try look(over: layout, owners)
        try SubmitFile.write(configuration)
        if !isHealthy { throw QuietExit(.configuration) }
    }

    private func create(_ layout: SpoolLayout, _ owners: SpoolOwners) throws {
        let lacking = try queueCall { () throws(QueueError) in try layout.faults(owners: owners) }
            .filter { $0.kind == .missing }
        let isNew: Bool
        do throws(QueueError) {
            isNew = try layout.create(owners: owners)
        } catch {
            guard error.cause == .permissionDenied, geteuid() != 0 else { throw CommandFailure(error) }
            throw CommandFailure(
                .noPermission,
                "cannot create the spool \(layout.root): permission denied. "
                    + "Run mail-queue init as root, or name another place with queue directory.")
        }
        guard !isNew else {
            let names = try SpoolAccounts.names(owners)
            return try StandardOutput.write("created the spool \(EscapedText.plain(layout.root)), \(names)\n")
        }
        try StandardOutput.write("the spool \(EscapedText.plain(layout.root)) exists already\n")
        for fault in lacking { try StandardOutput.write("made \(EscapedText.plain(fault.path)), which was missing\n") }
    }

    /// Says on stderr what is wrong and how to mend it. False when something stays wrong.
    private func look(over layout: SpoolLayout, _ owners: SpoolOwners) throws -> Bool {
        let faults = try queueCall { () throws(QueueError) in try layout.faults(owners: owners) }
        var isHealthy = true
        for fault in faults {
            let text = try FaultText(fault)
            if fix, try queueCall({ () throws(QueueError) in try layout.mend(fault, owners: owners) }) {
                try StandardOutput.write("mended: \(EscapedText.plain(text.sentence))\n")
            } else {
                Diagnostic.print("\(text.sentence). \(text.cure)")
                isHealthy = false
            }
        }
        return isHealthy
    }
}
