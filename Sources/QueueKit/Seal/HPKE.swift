// Owns: hybrid public key encryption (RFC 9180) in the one suite Pouch uses: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
// AES-256-GCM, modes base and PSK. Refuses: other suites, the authenticated modes, knowing what is sealed.

import COpenSSL

/// An X25519 key pair.
struct KeyPair: Sendable {
    let secret: Secret
    let publicKey: PublicKey

    /// - Throws: SealError `.malformed` unless `secret` has 32 bytes.
    init(_ secret: Secret) throws(SealError) {
        guard secret.count == X25519.length, let key = PublicKey(bytes: try X25519.publicKey(of: secret)) else {
            throw SealError(.malformed, "use a private key", "it does not have 32 bytes.")
        }
        (self.secret, publicKey) = (secret, key)
    }
}

enum HPKE {
    /// What both sides know before, beside the key pair (RFC 9180 §5.1.1, §5.1.2).
    enum Mode: Sendable {
        case base
        case preShared(key: Secret, id: [UInt8])
    }

    /// §7.1, §7.2, §7.3: the identifiers, big-endian.
    private static let kem: [UInt8] = Array("KEM".utf8) + [0x00, 0x20]
    private static let suite: [UInt8] = Array("HPKE".utf8) + [0x00, 0x20, 0x00, 0x01, 0x00, 0x02]
    /// §5.1.2: at least as many bytes as the KDF's strength.
    static let preSharedKeyMinimum = 32

    // MARK: §4: labelled HKDF

    private static func labeledExtract(
        _ suite: [UInt8], salt: Secret?, _ label: String, _ material: UnsafeRawBufferPointer
    ) throws(SealError) -> Secret {
        let prefix = Array("HPKE-v1".utf8) + suite + Array(label.utf8)
        let salt = salt ?? Secret(capacity: 0) { _ in 0 }
        return try prefix.lending { (prefix) throws(SealError) in
            try salt.withBytes { (salt) throws(SealError) in try HKDF.extract(salt: salt, prefix, material) }
        }
    }

    private static func labeledExpand(
        _ suite: [UInt8], _ key: Secret, _ label: String, _ info: [UInt8], count: Int
    ) throws(SealError) -> Secret {
        guard let length = UInt16(exactly: count) else {
            throw SealError(.refused, "derive \(count) bytes", "HPKE derives at most 65535.")
        }
        let labeled =
            [UInt8(length >> 8), UInt8(length & 255)] + Array("HPKE-v1".utf8) + suite + Array(label.utf8) + info
        return try HKDF.expand(key, info: labeled, count: count)
    }

    // MARK: §4.1: DHKEM

    /// §7.1.3.
    static func deriveKeyPair(_ material: Secret) throws(SealError) -> KeyPair {
        let key = try material.withBytes { (material) throws(SealError) in
            try labeledExtract(kem, salt: nil, "dkp_prk", material)
        }
        return try KeyPair(try labeledExpand(kem, key, "sk", [], count: X25519.length))
    }

    /// A new shared secret for the owner of `recipient`, and the public value that lets him find it.
    ///
    /// - Parameter ephemeral: a new key pair each time; test vectors bring their own.
    static func encapsulate(
        to recipient: PublicKey, ephemeral: KeyPair
    ) throws(SealError) -> (shared: Secret, encapsulated: [UInt8]) {
        let agreed = try X25519.shared(ephemeral.secret, with: recipient.bytes)
        let encapsulated = ephemeral.publicKey.bytes
        return (try extractAndExpand(agreed, context: encapsulated + recipient.bytes), encapsulated)
    }

    static func encapsulate(to recipient: PublicKey) throws(SealError) -> (shared: Secret, encapsulated: [UInt8]) {
        try encapsulate(to: recipient, ephemeral: try deriveKeyPair(try .random(X25519.length)))
    }

    static func decapsulate(_ encapsulated: [UInt8], _ recipient: KeyPair) throws(SealError) -> Secret {
        let agreed = try X25519.shared(recipient.secret, with: encapsulated)
        return try extractAndExpand(agreed, context: encapsulated + recipient.publicKey.bytes)
    }

    private static func extractAndExpand(_ agreed: Secret, context: [UInt8]) throws(SealError) -> Secret {
        let key = try agreed.withBytes { (agreed) throws(SealError) in
            try labeledExtract(kem, salt: nil, "eae_prk", agreed)
        }
        return try labeledExpand(kem, key, "shared_secret", context, count: 32)
    }

    // MARK: §5.1: key schedule

    static func sender(
        to recipient: PublicKey, mode: Mode, info: [UInt8], ephemeral: KeyPair? = nil
    ) throws(SealError) -> (context: Context, encapsulated: [UInt8]) {
        let (shared, encapsulated) =
            if let ephemeral { try encapsulate(to: recipient, ephemeral: ephemeral) } else {
                try encapsulate(to: recipient)
            }
        return (try Context(shared: shared, mode: mode, info: info), encapsulated)
    }

    static func receiver(
        _ encapsulated: [UInt8], _ recipient: KeyPair, mode: Mode, info: [UInt8]
    ) throws(SealError) -> Context {
        try Context(shared: try decapsulate(encapsulated, recipient), mode: mode, info: info)
    }

    /// What a set-up gives: secrets to export, and a sequence of sealed messages.
    struct Context: Sendable {
        let key: Secret
        let baseNonce: Secret
        let exporterSecret: Secret
        /// The number of the next message sealed or opened.
        private(set) var sequence: UInt64 = 0

        fileprivate init(shared: Secret, mode: Mode, info: [UInt8]) throws(SealError) {
            var (number, preShared, id): (UInt8, Secret, [UInt8]) = (0, Secret(capacity: 0) { _ in 0 }, [])
            if case .preShared(let key, let keyID) = mode {
                // §5.1: the two come together or not at all.
                guard key.count >= preSharedKeyMinimum, !keyID.isEmpty else {
                    throw SealError(.refused, "use a writer key", "it has less than 32 bytes or no name.")
                }
                (number, preShared, id) = (1, key, keyID)
            }
            let idHash = try Self.hash("psk_id_hash", id)
            let infoHash = try Self.hash("info_hash", info)
            let context = [number] + idHash + infoHash
            let secret = try preShared.withBytes { (preShared) throws(SealError) in
                try labeledExtract(suite, salt: shared, "secret", preShared)
            }
            key = try labeledExpand(suite, secret, "key", context, count: CipherContext.keyLength)
            baseNonce = try labeledExpand(suite, secret, "base_nonce", context, count: CipherContext.nonceLength)
            exporterSecret = try labeledExpand(suite, secret, "exp", context, count: HKDF.hashLength)
        }

        private static func hash(_ label: String, _ bytes: [UInt8]) throws(SealError) -> [UInt8] {
            try bytes.lending { (bytes) throws(SealError) in try labeledExtract(suite, salt: nil, label, bytes) }
                .withBytes { Array($0) }
        }

        /// §5.3.
        func export(_ context: [UInt8], count: Int) throws(SealError) -> Secret {
            try labeledExpand(suite, exporterSecret, "sec", context, count: count)
        }

        /// §5.2; the ciphertext with its tag behind it.
        mutating func seal(_ plain: Secret, associated: [UInt8]) throws(SealError) -> [UInt8] {
            let nonce = try nextNonce()
            return try CipherContext.sealed(plain, key: key, nonce: nonce, associated: associated)
        }

        /// §5.2. What fails does not count.
        mutating func open(_ sealed: [UInt8], associated: [UInt8]) throws(SealError) -> Secret {
            let before = sequence
            let nonce = try nextNonce()
            guard let plain = try CipherContext.opened(sealed, key: key, nonce: nonce, associated: associated) else {
                sequence = before
                throw .notAuthentic("open an HPKE message")
            }
            return plain
        }

        /// The base nonce, the sequence number in its last eight bytes.
        private mutating func nextNonce() throws(SealError) -> [UInt8] {
            guard sequence < .max else {
                throw SealError(.refused, "seal another message", "the context is used up.")
            }
            var nonce = baseNonce.withBytes { Array($0) }
            for index in 0..<8 { nonce[11 - index] ^= UInt8(truncatingIfNeeded: sequence >> UInt64(8 * index)) }
            sequence += 1
            return nonce
        }
    }
}
