// Owns: the text of `spool.key`: seeds wrapped under passphrases, read from hostile bytes. Refuses: opening the file,
// asking for passphrases.

import COpenSSL

/// One seed, wrapped (AES-256-GCM) under a root that PBKDF2 made from a passphrase. Without the passphrase it says
/// nothing; without it the queue is lost.
public struct SpoolKey: Hashable, Sendable {
    static let wrappedLength = KeyDerivation.seedLength + CipherContext.tagLength

    /// The key that the seed gives.
    public let id: KeyID
    public let iterations: Int
    let salt: [UInt8]
    let nonce: [UInt8]
    let wrapped: [UInt8]

    /// Wraps a seed under a fresh salt.
    ///
    /// - Throws: SealError `.refused` for an empty passphrase or iterations out of 100,000 to 10,000,000.
    public init(
        _ seed: SpoolSeed, passphrase: Secret, iterations: Int = KeyDerivation.iterationsMinimum
    ) throws(SealError) {
        let keys = try GenerationKeys(seed)
        var random = try RandomBytes.make(KeyDerivation.saltLength + CipherContext.nonceLength)
        (id, self.iterations) = (keys.id, iterations)
        salt = Array(random.prefix(KeyDerivation.saltLength))
        random.removeFirst(KeyDerivation.saltLength)
        nonce = random
        let root = try KeyDerivation.root(passphrase, salt: salt, iterations: iterations)
        wrapped = try CipherContext.sealed(
            seed.secret, key: root, nonce: nonce, associated: Self.associated(id, iterations, salt))
    }

    /// Opens the seed.
    ///
    /// - Throws: SealError `.notAuthentic` for another passphrase or altered bytes.
    public func seed(_ passphrase: Secret) throws(SealError) -> SpoolSeed {
        let root = try KeyDerivation.root(passphrase, salt: salt, iterations: iterations)
        let associated = Self.associated(id, iterations, salt)
        guard let secret = try CipherContext.opened(wrapped, key: root, nonce: nonce, associated: associated) else {
            throw SealError(
                .notAuthentic, "open the key \(id) of spool.key",
                "the passphrase is another one, or the file was altered. Check `queue encryption`.")
        }
        let seed = try SpoolSeed(secret)
        guard try GenerationKeys(seed).id == id else {
            throw SealError(.malformed, "open the key \(id) of spool.key", "it holds another key than it says.")
        }
        return seed
    }

    /// The same seed under a new passphrase.
    public func wrappedAgain(
        from old: Secret, to new: Secret, iterations: Int = KeyDerivation.iterationsMinimum
    ) throws(SealError) -> SpoolKey {
        try SpoolKey(try seed(old), passphrase: new, iterations: iterations)
    }

    /// What stands beside the wrapped seed is covered by its tag.
    private static func associated(_ id: KeyID, _ iterations: Int, _ salt: [UInt8]) -> [UInt8] {
        Array("pouch-key 1 ".utf8) + id.bytes + Array(String(iterations).utf8) + salt
    }
}

/// The whole of `spool.key`: the generation in use first, earlier ones behind it while mail sealed for them is left.
///
///     pouch-key 1
///     key 4fd0...              sixteen digits
///     iterations 100000
///     salt 9a11...
///     nonce 77b0...
///     seed 0f3c...             wrapped, its tag behind it
///     check 81aa...            SHA-256 over the lines above: damage is told from a wrong passphrase
public struct SpoolKeyFile: Hashable, Sendable {
    static let name = "spool.key"
    /// The runner's alone.
    static let mode: UInt32 = 0o400
    static let sizeLimit = 8192
    static let generationLimit = 8

    public private(set) var keys: [SpoolKey]

    public var current: SpoolKey { keys[0] }
    public var previous: ArraySlice<SpoolKey> { keys.dropFirst() }

    public init(_ key: SpoolKey) { keys = [key] }

    /// Puts a new generation, or the same one wrapped again, in front.
    ///
    /// - Throws: SealError `.refused` when eight generations are there.
    public mutating func use(_ key: SpoolKey) throws(SealError) {
        var next = keys.filter { $0.id != key.id }
        next.insert(key, at: 0)
        guard next.count <= Self.generationLimit else {
            throw SealError(
                .refused, "add a key to spool.key", "it holds \(Self.generationLimit). Let the queue empty first.")
        }
        keys = next
    }

    /// Drops a generation that nothing is sealed for any more; the one in use stays.
    public mutating func forget(_ id: KeyID) { keys = [keys[0]] + keys.dropFirst().filter { $0.id != id } }

    public var rendered: [UInt8] {
        var text = "pouch-key 1\n"
        for key in keys {
            text += "key \(key.id)\niterations \(key.iterations)\nsalt \(key.salt.hex)\n"
            text += "nonce \(key.nonce.hex)\nseed \(key.wrapped.hex)\n"
        }
        return Array("\(text)check \(Checksum.sha256(Array(text.utf8)).hex)\n".utf8)
    }

    /// Reads exactly what `rendered` writes, and nothing else.
    ///
    /// - Throws: SealError `.malformed`; `.refused` for iterations out of bounds.
    public init(_ bytes: [UInt8]) throws(SealError) {
        let malformed = SealError(
            .malformed, "read spool.key",
            "it is damaged or not ours. Restore it from its backup; the mail is untouched.")
        guard bytes.count <= Self.sizeLimit, let text = bytes.text else { throw malformed }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        func field(_ name: String) -> Substring? {
            guard let line = lines.first, line.hasPrefix(name + " ") else { return nil }
            lines = lines.dropFirst()
            return line.dropFirst(name.count + 1)
        }
        guard field("pouch-key") == "1" else { throw malformed }
        keys = []
        while let id = field("key") {
            guard keys.count < Self.generationLimit, let id = KeyID(id),
                let iterations = field("iterations").flatMap({ Int($0) }),
                let salt = field("salt").flatMap({ [UInt8](hexadecimal: $0.utf8, count: KeyDerivation.saltLength) }),
                let nonce = field("nonce").flatMap({ [UInt8](hexadecimal: $0.utf8, count: CipherContext.nonceLength) }),
                let wrapped = field("seed").flatMap({ [UInt8](hexadecimal: $0.utf8, count: SpoolKey.wrappedLength) }),
                !keys.contains(where: { $0.id == id })
            else { throw malformed }
            try KeyDerivation.check(iterations, limit: KeyDerivation.iterationsLimit)
            keys.append(SpoolKey(id: id, iterations: iterations, salt: salt, nonce: nonce, wrapped: wrapped))
        }
        guard !keys.isEmpty, rendered == bytes else { throw malformed }
    }
}

extension SpoolKey {
    fileprivate init(id: KeyID, iterations: Int, salt: [UInt8], nonce: [UInt8], wrapped: [UInt8]) {
        (self.id, self.iterations) = (id, iterations)
        (self.salt, self.nonce, self.wrapped) = (salt, nonce, wrapped)
    }
}

/// Bytes that may be seen: salts and nonces.
enum RandomBytes {
    static func make(_ count: Int) throws(SealError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&bytes, Int32(clamping: count)) == 1 else { throw .library("make \(count) random bytes") }
        return bytes
    }
}
