// Owns: what passphrases open of `spool.key`, and wrapping it again under the one in use. Refuses: the file (SpoolKeyStore),
// making keys (KeyPreparation).

import CommandKit
import QueueKit
import Routing

/// The seeds that could be opened.
struct UnlockedKeys {
    private struct Opened {
        var seed: SpoolSeed
        /// Whether by the passphrase in use; else by an earlier one.
        var isCurrent: Bool
    }

    private let file: SpoolKeyFile
    private let opened: [KeyID: Opened]

    /// Tries every passphrase on every generation, the one in use first.
    ///
    /// - Throws: 78 when none opens the generation in use; without a passphrase in use, when none opens any.
    init(_ file: SpoolKeyFile, _ passphrases: Passphrases, path: String) throws(CommandFailure) {
        self.file = file
        var opened: [KeyID: Opened] = [:]
        for key in file.keys {
            for (number, passphrase) in passphrases.all.enumerated() where opened[key.id] == nil {
                guard let seed = try Self.seed(key, passphrase) else { continue }
                opened[key.id] = Opened(seed: seed, isCurrent: number == 0 && passphrases.current != nil)
            }
        }
        self.opened = opened
        guard passphrases.current != nil ? opened[file.current.id] == nil : opened.isEmpty else { return }
        throw CommandFailure(
            .configuration,
            "cannot open the key \(file.current.id) of \(path): "
                + (passphrases.current == nil
                    ? "no previous key of queue encryption is the passphrase it was made with."
                    : "queue encryption names another passphrase than it was made with. Give that one with queue encryption "
                        + "previous key; the mail is untouched."))
    }

    /// nil for another passphrase.
    private static func seed(_ key: SpoolKey, _ passphrase: Secret) throws(CommandFailure) -> SpoolSeed? {
        do throws(SealError) {
            return try key.seed(passphrase)
        } catch {
            guard error.kind == .notAuthentic else { throw CommandFailure(error) }
            return nil
        }
    }

    func ring() throws(CommandFailure) -> KeyRing {
        let seeds = file.keys.compactMap { opened[$0.id]?.seed }
        guard let first = seeds.first else {
            throw CommandFailure(.configuration, "cannot use the queue's keys: none could be opened.")
        }
        return try sealing { () throws(SealError) in try KeyRing(first, previous: Array(seeds.dropFirst())) }
    }

    /// Generations that stay closed: mail sealed for them is held.
    var closed: [KeyID] { file.keys.map(\.id).filter { opened[$0] == nil } }

    /// The same seeds, all that were opened wrapped under the passphrase in use; nil when they are already.
    func wrappedAgain(under passphrase: Secret, iterations: Int) throws(CommandFailure) -> SpoolKeyFile? {
        var keys: [SpoolKey] = []
        for key in file.keys {
            guard let found = opened[key.id], !found.isCurrent || key.iterations != iterations else {
                keys.append(key)
                continue
            }
            keys.append(
                try sealing { () throws(SealError) in
                    try SpoolKey(found.seed, passphrase: passphrase, iterations: iterations)
                })
        }
        guard keys != file.keys, let last = keys.last else { return nil }
        return try sealing { () throws(SealError) in
            var file = SpoolKeyFile(last)
            for key in keys.dropLast().reversed() { try file.use(key) }
            return file
        }
    }
}

extension CommandFailure {
    init(_ error: SealError) {
        self.init(ExitStatus(rawValue: error.exitStatus) ?? .configuration, error.description)
    }

    init(_ error: QueueError) {
        self.init(ExitStatus(rawValue: error.exitStatus) ?? .temporaryFailure, error.description)
    }
}

func sealing<Result>(_ body: () throws(SealError) -> Result) throws(CommandFailure) -> Result {
    do throws(SealError) { return try body() } catch { throw CommandFailure(error) }
}

func onSpool<Result>(_ body: () throws(QueueError) -> Result) throws(CommandFailure) -> Result {
    do throws(QueueError) { return try body() } catch { throw CommandFailure(error) }
}
