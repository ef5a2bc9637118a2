// Owns: what `mail-queue init` does about keys: making spool.key, wrapping it again under a changed passphrase. Refuses:
// removing any key, submit.conf.

import CommandKit
import Glibc
import QueueKit
import Routing

public struct KeyPreparation: Sendable {
    /// For submit.conf; nil when nothing is to be sealed, or when the key was not made yet (`-n`).
    public private(set) var publicKey: PublicKey?
    /// What was done or would be, a sentence each.
    public private(set) var done: [String] = []
    /// What its owner must hear, however quiet the program was told to be: a key was made or wrapped again.
    public private(set) var warnings: [String] = []

    private let store: SpoolKeyStore
    private let owners: SpoolOwners
    private let encryption: QueueEncryption

    /// Needs the spool's directory. A changed passphrase strands nothing: what an earlier one opens is wrapped again.
    ///
    /// - Parameter passphrases: all of `encryption`.
    /// - Throws: 78 when no passphrase opens the key in use, and for a damaged spool.key.
    public init(
        _ encryption: QueueEncryption, _ passphrases: Passphrases, _ layout: SpoolLayout, owners: SpoolOwners,
        checkOnly: Bool
    ) throws(CommandFailure) {
        (self.owners, self.encryption) = (owners, encryption)
        let store = SpoolKeyStore(layout)
        self.store = store
        // Under -n the spool itself may not be there yet.
        let isThere = !checkOnly || access(store.path, F_OK) == 0 || ![ENOENT, ENOTDIR].contains(errno)
        if isThere, let file = try SpoolKeyFile.read(store) {
            try open(file, passphrases, checkOnly: checkOnly)
        } else if let passphrase = passphrases.current {
            try make(passphrase, passphrases, checkOnly: checkOnly)
        }
    }

    private mutating func make(
        _ passphrase: Secret, _ passphrases: Passphrases, checkOnly: Bool
    ) throws(CommandFailure) {
        guard !checkOnly else { return done.append("would make \(store.path)") }
        let (file, key) = try sealing { () throws(SealError) in
            let seed = try SpoolSeed.random()
            let key = try SpoolKey(seed, passphrase: passphrase, iterations: encryption.iterations)
            return (SpoolKeyFile(key), try KeyRing(seed).publicKey)
        }
        guard try onSpool({ () throws(QueueError) in try store.create(file, owners: owners) }) else {
            // Another init was faster: its key is the one.
            guard let file = try SpoolKeyFile.read(store) else { return }
            return try open(file, passphrases, checkOnly: false)
        }
        warnings.append("made \(store.path). Losing it loses all mail in the queue. Back it up now: \(backup)")
        publicKey = key
    }

    private mutating func open(
        _ file: SpoolKeyFile, _ passphrases: Passphrases, checkOnly: Bool
    ) throws(CommandFailure) {
        let keys = try UnlockedKeys(file, passphrases, path: store.path)
        for id in keys.closed {
            warnings.append(
                "no passphrase opens the earlier key \(id) of \(store.path): mail sealed for it is held. Give its "
                    + "passphrase with queue encryption previous key.")
        }
        guard let passphrase = passphrases.current else { return }
        publicKey = try keys.ring().publicKey
        let wrapped = try keys.wrappedAgain(under: passphrase, iterations: encryption.iterations)
        guard let wrapped else { return done.append("\(store.path) is up to date") }
        guard !checkOnly else { return done.append("would wrap \(store.path) again") }
        try onSpool { () throws(QueueError) in try store.replace(with: wrapped, owners: owners) }
        warnings.append(
            "wrapped \(store.path) again under the passphrase and the iterations of queue encryption. Back it up now: "
                + backup)
    }

    private var backup: String { "cp -p \(ShellWord.quoted(store.path)) ~/pouch-spool.key" }
}

extension SpoolKeyFile {
    /// nil when there is none.
    static func read(_ store: SpoolKeyStore) throws(CommandFailure) -> SpoolKeyFile? {
        let bytes: [UInt8]?
        do throws(QueueError) {
            bytes = try store.read()
        } catch {
            guard error.cause == .permissionDenied else { throw CommandFailure(error) }
            throw CommandFailure(
                .noPermission,
                "cannot read \(store.path): permission denied. It belongs to the spool's owner alone: run as that user or "
                    + "as root.")
        }
        guard let bytes else { return nil }
        return try sealing { () throws(SealError) in try SpoolKeyFile(bytes) }
    }
}
