// Owns: `mail-queue rekey`: a new key for the queue and the order of its steps, each of which may be the last before a
// crash. Refuses: sealing mail anew (the runner moves it), making keys (KeyKit).
//
//   spool.key holds the new key -> submit.conf names it -> the programs take it up -> the runner moves what is sealed
//   otherwise -> keys that nothing needs are forgotten
//
// Run again at any point it goes on where it was.

import ArgumentParser
import CommandKit
import Glibc
import KeyKit
import MailModel
import QueueKit
import Routing

struct Rekey: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes a new key and seals the queue for it.",
        usage: "mail-queue rekey [--new] [--forget] [-C <file>]",
        discussion: """
            New mail is sealed for the new key at once; what is in the queue is moved into new files by the runner. \
            Ends when nothing is sealed otherwise. Interrupted, it goes on where it was when it is run again. The \
            passphrase stays; to change that, change queue encryption and run mail-queue init.
            """)

    @Flag(help: "Make another key although an earlier change is not finished.")
    var new = false

    @Flag(help: "Forget all earlier keys, the one before this included.")
    var forget = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        Hardening.setUmask(0o022)
        let spool = try common.openSpool()
        guard let encryption = spool.configuration.queueEncryption, encryption.key != nil else {
            throw CommandFailure(
                .configuration,
                "there is no key to change: \(spool.configuration.path ?? "the built-in default") has no queue encryption "
                    + "key.")
        }
        let owners = try SpoolAccounts.owners(of: spool.layout, spool.configuration.superviseUsers)
        let passphrases = try Passphrases(encryption, .telling)
        var change = try KeyChange(encryption, passphrases, spool.layout, owners: owners)
        try begin(&change, spool)
        try StandardOutput.write("\(try SubmitFile.write(spool.configuration, change.publicKey))\n")
        try RekeyProgress(spool: spool, id: change.id).run()
        try finish(&change, spool)
    }

    private func use(_ spool: Spool) throws(CommandFailure) -> KeyUse {
        try queueCall { () throws(QueueError) in try KeyUse(spool.layout) }
    }

    private func begin(_ change: inout KeyChange, _ spool: Spool) throws {
        let use = try use(spool)
        let isHalfWay = use.others(than: change.id) > 0 || SubmitFile.keyID(spool.configuration) != change.id
        guard new || !isHalfWay || change.earlier.isEmpty else {
            return try StandardOutput.write("going on with the change to the key \(change.id)\n")
        }
        try change.begin(needed: use.all)
        try StandardOutput.write("made the key \(change.id)\n")
        Diagnostic.print("Losing the new spool.key loses all mail in the queue. Back it up now: \(change.backup)")
    }

    private func finish(_ change: inout KeyChange, _ spool: Spool) throws {
        let gone = try change.forget(needed: try use(spool).all, sparing: forget ? nil : change.earlier.first)
        for id in gone { try StandardOutput.write("forgot the key \(id): nothing is sealed for it\n") }
        if let kept = change.earlier.first, !forget {
            try StandardOutput.write(
                "kept the key \(kept) until the next change, for mail that is being submitted this moment\n")
        }
        try StandardOutput.write("done: the whole queue is sealed for the key \(change.id)\n")
    }
}

extension KeyUse {
    /// Of files in the queue and in quarantine.
    var all: Set<KeyID> { Set(queued.keys).union(kept.keys) }
}
