// Owns: HKDF-SHA-256, PBKDF2-HMAC-SHA-256 and X25519 over EVP. Refuses: knowing what the keys are for.

import COpenSSL

/// RFC 5869 with SHA-256.
enum HKDF {
    static let hashLength = 32

    /// §2.2: a pseudorandom key of 32 bytes.
    static func extract(salt: UnsafeRawBufferPointer, _ pieces: UnsafeRawBufferPointer...) throws(SealError) -> Secret {
        try Secret(capacity: hashLength) { (out) throws(SealError) in
            var mac = try Authenticator(key: salt)
            for piece in pieces { try mac.update(piece) }
            try mac.finish(into: out)
            return hashLength
        }
    }

    /// §2.3: `count` bytes, at most 8,160.
    ///
    /// - Parameter passing: the result is used at once and goes.
    static func expand(
        _ key: Secret, info: [UInt8], count: Int, passing: Bool = false
    ) throws(SealError) -> Secret {
        guard (0...255 * hashLength).contains(count) else {
            throw SealError(.refused, "derive \(count) bytes", "HKDF-SHA-256 gives at most 8160.")
        }
        return try Secret(capacity: count, passing: passing) { (out) throws(SealError) in
            var block = [UInt8](repeating: 0, count: hashLength)
            defer { block.lendingMutable { OPENSSL_cleanse($0.baseAddress, $0.count) } }
            var done = 0
            while done < count {
                var mac = try key.withBytes { (key) throws(SealError) in try Authenticator(key: key) }
                if done > 0 { try block.lending { (block) throws(SealError) in try mac.update(block) } }
                try info.lending { (info) throws(SealError) in try mac.update(info) }
                try [UInt8(done / hashLength + 1)].lending { (number) throws(SealError) in try mac.update(number) }
                try block.lendingMutable { (block) throws(SealError) in try mac.finish(into: block) }
                let length = min(hashLength, count - done)
                UnsafeMutableRawBufferPointer(rebasing: out[done..<done + length]).copyBytes(from: block.prefix(length))
                done += length
            }
            return count
        }
    }

    /// §2.2 for one key of 32 bytes, which is used at once and goes.
    static func expand(_ keyed: borrowing KeyedHash, info: [UInt8]) throws(SealError) -> Secret {
        try Secret(capacity: hashLength, passing: true) { (out) throws(SealError) in
            var mac = try keyed.begin()
            try (info + [1]).lending { (info) throws(SealError) in try mac.update(info) }
            try mac.finish(into: out)
            return hashLength
        }
    }

    /// Both steps.
    static func derive(_ secret: Secret, salt: [UInt8] = [], info: [UInt8], count: Int = 32) throws(SealError) -> Secret
    {
        let key = try salt.lending { (salt) throws(SealError) in
            try secret.withBytes { (secret) throws(SealError) in try extract(salt: salt, secret) }
        }
        return try expand(key, info: info, count: count)
    }
}

/// A key that many hashes begin with: setting it takes as long as a short hash.
struct KeyedHash: ~Copyable {
    private let template: Authenticator

    init(_ key: Secret) throws(SealError) {
        template = try key.withBytes { (key) throws(SealError) in try Authenticator(key: key) }
    }

    fileprivate func begin() throws(SealError) -> Authenticator { try Authenticator(copying: template) }
}

/// HMAC-SHA-256 (RFC 2104) over pieces.
private struct Authenticator: ~Copyable {
    private let handle: OpaquePointer

    init(copying other: borrowing Authenticator) throws(SealError) {
        guard let handle = EVP_MAC_CTX_dup(other.handle) else { throw .library("make an HMAC") }
        self.handle = handle
    }

    init(key: UnsafeRawBufferPointer) throws(SealError) {
        let algorithms = try Algorithms.shared.get()
        guard let handle = EVP_MAC_CTX_dup(algorithms.hmac) else { throw .library("make an HMAC") }
        guard Self.set(key, handle) else {
            EVP_MAC_CTX_free(handle)
            throw .library("set the key of an HMAC")
        }
        self.handle = handle
    }

    /// An empty key is a key too; without an address the call would look for an earlier one.
    private static func set(_ key: UnsafeRawBufferPointer, _ handle: OpaquePointer) -> Bool {
        let none: [UInt8] = [0]
        return key.isEmpty
            ? EVP_MAC_init(handle, none, 0, nil) == 1 : EVP_MAC_init(handle, key.bound, key.count, nil) == 1
    }

    deinit { EVP_MAC_CTX_free(handle) }

    mutating func update(_ bytes: UnsafeRawBufferPointer) throws(SealError) {
        guard bytes.isEmpty || EVP_MAC_update(handle, bytes.bound, bytes.count) == 1 else {
            throw .library("compute an HMAC")
        }
    }

    mutating func finish(into out: UnsafeMutableRawBufferPointer) throws(SealError) {
        var length = 0
        guard EVP_MAC_final(handle, out.bound, &length, out.count) == 1, length == HKDF.hashLength else {
            throw .library("compute an HMAC")
        }
    }
}

/// RFC 8018 §5.2 with HMAC-SHA-256.
enum PBKDF2 {
    static func derive(
        _ password: Secret, salt: [UInt8], iterations: Int, count: Int = 32
    ) throws(SealError) -> Secret {
        guard let rounds = Int32(exactly: iterations), rounds > 0 else {
            throw SealError(.refused, "derive a key", "\(iterations) is no number of iterations.")
        }
        return try Secret(capacity: count) { (out) throws(SealError) in
            let done = password.withBytes { password in
                PKCS5_PBKDF2_HMAC(
                    password.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(clamping: password.count), salt,
                    Int32(clamping: salt.count), rounds, EVP_sha256(), Int32(clamping: count), out.bound)
            }
            guard done == 1 else { throw .library("derive a key by PBKDF2") }
            return count
        }
    }
}

/// RFC 7748 §5.
enum X25519 {
    static let length = 32

    /// The public key of a private one.
    static func publicKey(of secret: Secret) throws(SealError) -> [UInt8] {
        let key = try PrivateHandle(secret)
        var out = [UInt8](repeating: 0, count: length)
        var count = length
        guard EVP_PKEY_get_raw_public_key(key.handle, &out, &count) == 1, count == length else {
            throw .library("compute an X25519 public key")
        }
        return out
    }

    /// The shared secret. RFC 9180 §7.1.4: one that is all zeros (a public key of small order) is refused.
    static func shared(_ secret: Secret, with peer: [UInt8]) throws(SealError) -> Secret {
        let key = try PrivateHandle(secret)
        guard peer.count == length else { throw .notAuthentic("use an X25519 public key") }
        guard let peerHandle = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nil, peer, peer.count) else {
            throw .library("agree on a key")
        }
        defer { EVP_PKEY_free(peerHandle) }
        guard let context = EVP_PKEY_CTX_new(key.handle, nil) else { throw .library("agree on a key") }
        defer { EVP_PKEY_CTX_free(context) }
        guard EVP_PKEY_derive_init(context) == 1, EVP_PKEY_derive_set_peer(context, peerHandle) == 1 else {
            throw .library("agree on a key")
        }
        return try Secret(capacity: length) { (out) throws(SealError) in
            var count = length
            let done = EVP_PKEY_derive(context, out.bound, &count) == 1 && count == length
            // Only this one reason is the peer's; any other failure says nothing of his key.
            guard done || ERR_GET_REASON(ERR_peek_last_error()) == PROV_R_FAILED_DURING_DERIVATION else {
                throw .library("agree on a key")
            }
            SealError.drainErrors()
            guard done, out.contains(where: { $0 != 0 }) else { throw .notAuthentic("use an X25519 public key") }
            return length
        }
    }

    private struct PrivateHandle: ~Copyable {
        let handle: OpaquePointer

        init(_ secret: Secret) throws(SealError) {
            let handle = secret.withBytes { EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nil, $0.bound, $0.count) }
            guard let handle else { throw .library("use an X25519 private key") }
            self.handle = handle
        }

        deinit { EVP_PKEY_free(handle) }
    }
}
