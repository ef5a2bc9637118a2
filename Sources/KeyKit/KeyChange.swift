// Owns: a new generation of keys in `spool.key`, and forgetting those that nothing needs. Refuses: sealing mail anew
// (the queue's runner does), submit.conf, telling the programs.
//
// The order makes every stopping point one to go on from: spool.key holds the new key before anybody seals for it, and
// earlier keys for as long as a file is sealed for them. While submit.conf names another key than the one in use, a
// change is half-way.

import CommandKit
import QueueKit
import Routing

public struct KeyChange {
    private let store: SpoolKeyStore
    private let owners: SpoolOwners
    private var file: SpoolKeyFile

    /// The key in use.
    public private(set) var publicKey: PublicKey
    public var id: KeyID { publicKey.id }
    public var earlier: [KeyID] { file.previous.map(\.id) }

    private let passphrase: Secret
    private let iterations: Int

    /// - Throws: 78 when there is no spool.key, or no passphrase opens the key in use.
    public init(
        _ encryption: QueueEncryption, _ passphrases: Passphrases, _ layout: SpoolLayout, owners: SpoolOwners
    ) throws(CommandFailure) {
        (store, self.owners, iterations) = (SpoolKeyStore(layout), owners, encryption.iterations)
        guard let passphrase = passphrases.current else {
            throw CommandFailure(
                .configuration, "cannot change the key: queue encryption has previous keys alone, and seals nothing.")
        }
        guard let file = try SpoolKeyFile.read(store) else {
            throw CommandFailure(
                .configuration, "cannot change the key: there is no \(store.path). Make it with mail-queue init.")
        }
        (self.file, self.passphrase) = (file, passphrase)
        publicKey = try UnlockedKeys(file, passphrases, path: store.path).ring().publicKey
    }

    /// Makes a new generation. It is durable when this returns.
    ///
    /// - Throws: 78 when eight generations are there and each is needed.
    public mutating func begin(needed: Set<KeyID>) throws(CommandFailure) {
        forgetUnneeded(needed, sparing: nil)
        let (next, key) = try sealing { () throws(SealError) in
            let seed = try SpoolSeed.random()
            var next = file
            try next.use(try SpoolKey(seed, passphrase: passphrase, iterations: iterations))
            return (next, try KeyRing(seed).publicKey)
        }
        try write(next)
        publicKey = key
    }

    /// Drops generations that nothing is sealed for.
    ///
    /// - Parameter sparing: one that is kept all the same: a mail-enqueue that has read submit.conf before the change may
    ///   still be at work.
    /// - Returns: those that went.
    public mutating func forget(needed: Set<KeyID>, sparing: KeyID?) throws(CommandFailure) -> [KeyID] {
        let before = file
        forgetUnneeded(needed, sparing: sparing)
        guard file != before else { return [] }
        try write(file)
        return before.keys.map(\.id).filter { id in !file.keys.contains { $0.id == id } }
    }

    private mutating func forgetUnneeded(_ needed: Set<KeyID>, sparing: KeyID?) {
        for id in file.previous.map(\.id) where !needed.contains(id) && id != sparing { file.forget(id) }
    }

    private mutating func write(_ next: SpoolKeyFile) throws(CommandFailure) {
        try onSpool { () throws(QueueError) in try store.replace(with: next, owners: owners) }
        file = next
    }

    public var backup: String { "cp -p \(ShellWord.quoted(store.path)) ~/pouch-spool.key" }
}
