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
        usage: "mail-queue init [--fix] [-n] [--quiet] [-C <file>]",
        discussion: """
            Makes what is missing of the spool that the configuration names, checks owner and mode of every part, and \
            writes submit.conf beside the configuration, for mail-enqueue. With queue encryption it makes spool.key, or \
            wraps it again under a changed passphrase. May be repeated; mail is never touched.
            """)

    @Flag(help: "Set wrong owners and modes right.")
    var fix = false

    @Flag(name: .customShort("n"), help: "Say what would be done, and do nothing.")
    var checkOnly = false

    @Flag(help: "Say only what is wrong.")
    var quiet = false

    @OptionGroup var keyOptions: InitKeyOptions
    @OptionGroup var common: CommonOptions

    func validate() throws {
        if checkOnly, fix { throw ValidationError("Give -n or --fix, not both.") }
    }

    func run() throws {
        Hardening.setUmask(0o022)
        try Hardening.makeUndumpable()
        // Before any other file is opened.
        let handed = try keyOptions.take()
        let configuration = try common.loadConfiguration()
        // Before anything is made.
        let supply = try handed.completed(for: configuration)
        let layout = SpoolLayout(root: configuration.queueDirectory)
        let owners = try SpoolAccounts.owners(of: layout, configuration.superviseUsers)
        let found = try faults(layout, owners)
        // A spool of a newer Pouch, or a damaged one, is not ours to add to. One without spool.meta gets it.
        if !found.contains(where: { [layout.root, layout.meta].contains($0.path) }) {
            _ = try queueCall { () throws(QueueError) in try SpoolMeta.read(layout) }
        }
        let lacking = found.filter { $0.kind == .missing }
        if checkOnly { try foretell(layout, lacking) } else { try create(layout, owners, lacking) }
        let isHealthy = try look(over: layout, owners)
        let keys = try InitKeys(configuration, supply, owners, checkOnly: checkOnly)
        for sentence in keys.done { try say(sentence) }
        for sentence in keys.warnings { Diagnostic.print(sentence) }
        try writeSubmitFile(configuration, keys)
        if !isHealthy { throw QuietExit(.configuration) }
    }

    /// A folder that may not be written (a read-only container, a user's own start) is no reason to stop: the queue
    /// works, and what mail-enqueue goes by is said. Only where mail is to be sealed it is one: mail-enqueue would store
    /// in clear.
    private func writeSubmitFile(_ configuration: Configuration, _ keys: InitKeys) throws {
        let done: String
        do throws(CommandFailure) {
            done = try SubmitFile.write(configuration, keys, checkOnly: checkOnly)
        } catch {
            guard error.status == .noPermission, configuration.queueEncryption?.key == nil else { throw error }
            return Diagnostic.print(
                "\(error.sentence) mail-enqueue goes by the file that is there, or by its defaults.")
        }
        try say(done)
    }

    private func say(_ text: String) throws {
        if !quiet { try StandardOutput.write("\(EscapedText.plain(text))\n") }
    }

    private func faults(_ layout: SpoolLayout, _ owners: SpoolOwners) throws(CommandFailure) -> [SpoolFault] {
        try queueCall { () throws(QueueError) in try layout.faults(owners: owners) }
    }

    private func keyFaults(_ layout: SpoolLayout, _ owners: SpoolOwners) throws(CommandFailure) -> [SpoolFault] {
        guard access(layout.root, F_OK) == 0 else { return [] }
        return try queueCall { () throws(QueueError) in try SpoolKeyStore(layout).faults(owners: owners) }
    }

    private func create(_ layout: SpoolLayout, _ owners: SpoolOwners, _ lacking: [SpoolFault]) throws {
        let isNew: Bool
        do throws(QueueError) {
            isNew = try layout.create(owners: owners)
        } catch {
            guard error.cause == .permissionDenied, geteuid() != 0 else { throw CommandFailure(error) }
            throw Self.forbidden(layout)
        }
        guard !isNew else {
            return try say("created the spool \(layout.root), \(SpoolAccounts.names(owners))")
        }
        try say("the spool \(layout.root) exists already")
        for fault in lacking { try say("made \(fault.path), which was missing") }
    }

    /// What `create` would do, as far as that can be known without doing it.
    private func foretell(_ layout: SpoolLayout, _ lacking: [SpoolFault]) throws {
        guard lacking.contains(where: { $0.path == layout.root }) else {
            guard lacking.isEmpty || access(layout.root, W_OK | X_OK) == 0 else { throw Self.forbidden(layout) }
            try say("the spool \(layout.root) exists already")
            for fault in lacking { try say("would make \(fault.path), which is missing") }
            return
        }
        var folder = layout.root[...]
        repeat {
            folder = folder[..<(folder.lastIndex(of: "/") ?? folder.startIndex)]
        } while !folder.isEmpty
            && access(String(folder), F_OK) != 0
        guard access(folder.isEmpty ? "/" : String(folder), W_OK | X_OK) == 0 else { throw Self.forbidden(layout) }
        try say("would create the spool \(layout.root)")
    }

    private static func forbidden(_ layout: SpoolLayout) -> CommandFailure {
        CommandFailure(
            .noPermission,
            "cannot create the spool \(layout.root): permission denied. "
                + "Run mail-queue init as root, or name another place with queue directory.")
    }

    /// Says on stderr what is wrong and how to mend it. False when something stays wrong.
    private func look(over layout: SpoolLayout, _ owners: SpoolOwners) throws -> Bool {
        var isHealthy = true
        let key = SpoolKeyStore(layout)
        for fault in try faults(layout, owners) + keyFaults(layout, owners)
        where !checkOnly || fault.kind != .missing {
            let text = try FaultText(fault)
            let mend = { () throws(QueueError) in
                fault.path == key.path ? try key.mend(owners: owners) : try layout.mend(fault, owners: owners)
            }
            if fix, try queueCall(mend) {
                try say("mended: \(text.sentence)")
            } else {
                Diagnostic.print("\(text.sentence). \(text.cure)")
                isHealthy = false
            }
        }
        return isHealthy
    }
}
