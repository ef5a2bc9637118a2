// Owns: what `init` does about keys, and the ways in which passphrases come to it. Refuses: making and wrapping keys
// (KeyKit), submit.conf.

import ArgumentParser
import CommandKit
import Glibc
import KeyKit
import QueueKit
import Routing

/// How mail-supervise, which has asked for the passphrases, calls `init`.
struct InitKeyOptions: ParsableArguments {
    @Option(
        name: .customLong("passphrase-fd"),
        help: ArgumentHelp("Take passphrases from here (mail-supervise does).", valueName: "n"))
    var passphraseDescriptor: Int32?

    @Option(
        name: .customLong("public-key"),
        help: ArgumentHelp("Leave spool.key; this goes into submit.conf.", valueName: "key"))
    var publicKey: String?

    enum Supply {
        case nothing
        case passphrases(Passphrases)
        case publicKey(PublicKey)

        /// Reads the passphrases that were not handed over.
        func completed(for configuration: Configuration) throws(CommandFailure) -> Supply {
            guard case .nothing = self, let encryption = configuration.queueEncryption else { return self }
            return .passphrases(try Passphrases(encryption, .telling))
        }
    }

    func validate() throws {
        if passphraseDescriptor != nil, publicKey != nil {
            throw ValidationError("Give --passphrase-fd or --public-key, not both.")
        }
    }

    func take() throws(CommandFailure) -> Supply {
        if let passphraseDescriptor {
            return .passphrases(try HandedKeys.takePassphrases(passphraseDescriptor, option: "--passphrase-fd"))
        }
        guard let publicKey else { return .nothing }
        guard let key = PublicKey(publicKey) else {
            throw CommandFailure(.usage, "cannot use --public-key: it is not 64 lowercase hexadecimal digits.")
        }
        return .publicKey(key)
    }
}

struct InitKeys {
    /// For submit.conf.
    private(set) var publicKey: PublicKey?
    private(set) var done: [String] = []
    private(set) var warnings: [String] = []
    /// `-n` before the first start.
    private(set) var isKeyMissing = false

    init(
        _ configuration: Configuration, _ supply: InitKeyOptions.Supply, _ owners: SpoolOwners, checkOnly: Bool
    ) throws(CommandFailure) {
        let layout = SpoolLayout(root: configuration.queueDirectory)
        guard let encryption = configuration.queueEncryption else {
            let path = SpoolKeyStore(layout).path
            if access(path, F_OK) == 0 {
                done = [
                    "\(path) is there without queue encryption: sealed mail that is left is opened with queue encryption "
                        + "previous key"
                ]
            }
            return
        }
        switch supply {
        case .nothing: return
        case .publicKey(let key): publicKey = encryption.key == nil ? nil : key
        case .passphrases(let passphrases):
            let preparation = try KeyPreparation(
                encryption, passphrases, layout, owners: owners, checkOnly: checkOnly)
            (publicKey, done, warnings) = (preparation.publicKey, preparation.done, preparation.warnings)
            isKeyMissing = encryption.key != nil && publicKey == nil
        }
    }
}
