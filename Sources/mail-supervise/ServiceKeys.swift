// Owns: the keys of the programs, from the passphrase read once to the part that each is given at every start. Refuses:
// keeping a passphrase, giving the agent any key.

import CommandKit
import KeyKit
import Logging
import QueueKit
import Routing

/// Parts in wiped memory: all that is kept.
struct ServiceKeys {
    /// The listener can seal with it and open nothing; nil when nothing is sealed.
    private(set) var listener: Secret?
    /// The runner's, which opens everything; nil when the queue was never sealed.
    private(set) var relay: Secret?
    /// For submit.conf.
    private(set) var publicKey: PublicKey?

    static let none = ServiceKeys()

    private init() {}

    /// Reads the passphrases, has the spool made with them, and derives the parts; the passphrases are gone then.
    ///
    /// - Parameters:
    ///   - before: what runs, when this is a reload.
    ///   - makeSpool: `mail-queue init`.
    static func prepare(
        _ configuration: Configuration, _ log: Logger, before: (configuration: Configuration, keys: ServiceKeys)? = nil,
        _ makeSpool: (KeySupply) throws -> Void
    ) throws -> ServiceKeys {
        guard let encryption = configuration.queueEncryption else {
            try makeSpool(.none)
            return .none
        }
        if let before, !encryption.sources.allSatisfy(\.isReadableAgain) {
            guard encryption == before.configuration.queueEncryption else {
                throw CommandFailure(
                    .configuration,
                    "queue encryption changed, and the passphrase that was typed or came from standard input is gone. "
                        + "This needs a restart.")
            }
            try makeSpool(.kept(before.keys.publicKey))
            return before.keys
        }
        let passphrases = try passphrases(encryption, log)
        try makeSpool(.passphrases(passphrases))
        return try derive(configuration, passphrases)
    }

    static func passphrases(_ encryption: QueueEncryption, _ log: Logger) throws(CommandFailure) -> Passphrases {
        try Passphrases(encryption, PassphraseReader(asksPeople: true) { log.warning("\($0)") })
    }

    private static func derive(
        _ configuration: Configuration, _ passphrases: Passphrases
    ) throws(CommandFailure) -> ServiceKeys {
        let reader = PassphraseReader(asksPeople: false, warn: { _ in })
        var keys = ServiceKeys()
        guard let ring = try QueueKeys(configuration, reader: reader).ring(passphrases) else { return keys }
        keys.relay = ring.part
        guard configuration.queueEncryption?.key != nil else { return keys }
        (keys.listener, keys.publicKey) = (ring.writerKey(.listener)?.part, ring.publicKey)
        return keys
    }

    /// Whether the runner would get the same.
    func relayMatches(_ other: ServiceKeys) -> Bool {
        switch (relay, other.relay) {
        case (nil, nil): true
        case (let one?, let other?): one.matches(other)
        default: false
        }
    }
}
