// Owns: how every key of the spool comes from the passphrase and the seed. Refuses: files (SpoolKey), deciding who gets
// which key (KeyRing).
//
//   passphrase, salt --PBKDF2--> root --AES-256-GCM wraps--> seed (32 random bytes)
//   seed --HKDF, a label each--> X25519 key pair (by RFC 9180 DeriveKeyPair), writer key of the listener, writer key of
//                                the runner, journal key, ledger key
//
// The passphrase has no part in anything but the root: the public key is no oracle for guessing it, and a new
// passphrase wraps the same seed again.

import COpenSSL

public enum KeyDerivation {
    /// Fewer are refused: a passphrase must not be cheap to guess.
    public static let iterationsMinimum = 100_000
    /// More are refused: about five seconds of work, so that a file can't hold a program up.
    public static let iterationsLimit = 10_000_000
    /// The same bound for `queue encryption pbkdf2 each`, where every envelope and every message pays.
    public static let stretchingLimit = 1_000_000

    static let saltLength = 16
    static let seedLength = 32

    /// The key that wraps the seed.
    ///
    /// - Throws: SealError `.refused` for an empty passphrase or a number of iterations out of bounds.
    static func root(_ passphrase: Secret, salt: [UInt8], iterations: Int) throws(SealError) -> Secret {
        guard !passphrase.isEmpty else {
            throw SealError(.refused, "derive the spool's key", "the passphrase is empty. Choose a long one.")
        }
        try check(iterations, limit: iterationsLimit)
        return try PBKDF2.derive(passphrase, salt: salt, iterations: iterations)
    }

    static func check(_ iterations: Int, limit: Int) throws(SealError) {
        guard (iterationsMinimum...limit).contains(iterations) else {
            throw SealError(
                .refused, "derive a key with \(iterations) iterations",
                "Pouch takes \(iterationsMinimum) to \(limit). Change `queue encryption iterations`.")
        }
    }

    /// Every use of a key has a label of its own; none is the beginning of another.
    enum Label: String {
        case keyPair = "pouch 1 key pair"
        case listener = "pouch 1 writer: listener"
        case runner = "pouch 1 writer: runner"
        case journal = "pouch 1 journal"
        case ledger = "pouch 1 ledger"
        case segment = "pouch 1 segment"
        case segmentCheck = "pouch 1 segment check"
        case envelopeRecord = "pouch 1 record: envelope"
        case messageRecord = "pouch 1 record: message"
        case journalOpening = "pouch 1 journal opening"

        var bytes: [UInt8] { Array(rawValue.utf8) }
    }

    static func key(_ label: Label, from seed: SpoolSeed) throws(SealError) -> Secret {
        try HKDF.derive(seed.secret, info: label.bytes)
    }
}

/// The 32 random bytes from which all keys of one generation come. Whoever has it can open the queue.
public struct SpoolSeed: Sendable {
    let secret: Secret

    /// - Throws: SealError `.malformed` unless there are 32 bytes.
    init(_ secret: Secret) throws(SealError) {
        guard secret.count == KeyDerivation.seedLength else {
            throw SealError(.malformed, "use a seed", "it does not have \(KeyDerivation.seedLength) bytes.")
        }
        self.secret = secret
    }

    /// A new generation.
    public static func random() throws(SealError) -> SpoolSeed {
        try SpoolSeed(try .random(KeyDerivation.seedLength))
    }
}

/// All keys of one generation.
struct GenerationKeys: Sendable {
    let seed: SpoolSeed
    let pair: KeyPair
    let listener: WriterKey
    let runner: WriterKey
    /// Seals journals; the runner's alone.
    let journal: Secret
    /// Seals the ledger; the runner's alone.
    let ledger: Secret

    var id: KeyID { pair.publicKey.id }

    init(_ seed: SpoolSeed) throws(SealError) {
        self.seed = seed
        pair = try HPKE.deriveKeyPair(try KeyDerivation.key(.keyPair, from: seed))
        listener = try WriterKey(pair.publicKey, .listener, try KeyDerivation.key(.listener, from: seed))
        runner = try WriterKey(pair.publicKey, .runner, try KeyDerivation.key(.runner, from: seed))
        journal = try KeyDerivation.key(.journal, from: seed)
        ledger = try KeyDerivation.key(.ledger, from: seed)
    }

    /// The writer key of a role; submitters have none.
    func writer(_ role: SegmentRole) -> WriterKey? {
        switch role {
        case .listener: listener
        case .runner: runner
        case .submitter: nil
        }
    }
}
