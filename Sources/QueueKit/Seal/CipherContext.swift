// Owns: AES-256-GCM over EVP: one key, many chunks. Refuses: choosing nonces (RecordSealer, HPKE), giving out bytes
// whose tag did not agree.

import COpenSSL

/// AES-256-GCM (NIST SP 800-38D) with nonces of 96 bits and tags of 128 bits. Its key schedule is made once.
struct CipherContext: ~Copyable {
    enum Direction: Int32 {
        case opening = 0
        case sealing = 1
    }

    static let keyLength = 32
    static let nonceLength = 12
    static let tagLength = 16

    private let handle: OpaquePointer
    private let direction: Direction

    init(_ direction: Direction, key: Secret) throws(SealError) {
        precondition(key.count == Self.keyLength, "AES-256 has keys of 32 bytes")
        let algorithms = try Algorithms.shared.get()
        guard let handle = EVP_CIPHER_CTX_new() else { throw .library("make a cipher") }
        let done = key.withBytes {
            EVP_CipherInit_ex(handle, algorithms.gcm, nil, $0.bound, nil, direction.rawValue)
        }
        guard done == 1 else {
            EVP_CIPHER_CTX_free(handle)
            throw .library("set the key of a cipher")
        }
        (self.handle, self.direction) = (handle, direction)
    }

    /// Goes over to another key; what was set up for the old one is used again.
    mutating func use(_ key: Secret) throws(SealError) {
        precondition(key.count == Self.keyLength, "AES-256 has keys of 32 bytes")
        let done = key.withBytes {
            EVP_CipherInit_ex(handle, nil, nil, $0.bound, nil, direction.rawValue)
        }
        guard done == 1 else { throw .library("set the key of a cipher") }
    }

    /// Frees the context; libcrypto wipes the key schedule.
    deinit { EVP_CIPHER_CTX_free(handle) }

    /// Seals `plain` into `out`, which has the same length and may be the same memory.
    ///
    /// - Parameters:
    ///   - nonce: 12 bytes that were never used with this key.
    ///   - associated: covered by the tag, not stored.
    ///   - tag: 16 bytes are written there.
    mutating func seal(
        _ plain: UnsafeRawBufferPointer, nonce: UnsafeRawBufferPointer, associated: [UInt8],
        into out: UnsafeMutableRawBufferPointer, tag: UnsafeMutableRawBufferPointer
    ) throws(SealError) {
        precondition(direction == .sealing && tag.count == Self.tagLength)
        try update(plain, nonce: nonce, associated: associated, into: out)
        var (none, length): (UInt8, Int32) = (0, 0)
        guard EVP_CipherFinal_ex(handle, &none, &length) == 1,
            EVP_CIPHER_CTX_ctrl(handle, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagLength), tag.baseAddress) == 1
        else { throw .library("seal a chunk") }
    }

    /// Opens `sealed` into `out`, which has the same length and may be the same memory.
    ///
    /// - Returns: whether the tag agreed. If not, `out` holds zeros.
    mutating func open(
        _ sealed: UnsafeRawBufferPointer, nonce: UnsafeRawBufferPointer, associated: [UInt8],
        tag: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
    ) throws(SealError) -> Bool {
        precondition(direction == .opening && tag.count == Self.tagLength)
        try update(sealed, nonce: nonce, associated: associated, into: out)
        // The call copies the tag and changes nothing; its parameter serves both directions.
        let expected = UnsafeMutableRawPointer(mutating: tag.baseAddress)
        guard EVP_CIPHER_CTX_ctrl(handle, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagLength), expected) == 1 else {
            throw .library("open a chunk")
        }
        var (none, length): (UInt8, Int32) = (0, 0)
        if EVP_CipherFinal_ex(handle, &none, &length) == 1 { return true }
        OPENSSL_cleanse(out.baseAddress, out.count)
        SealError.drainErrors()
        return false
    }

    private mutating func update(
        _ input: UnsafeRawBufferPointer, nonce: UnsafeRawBufferPointer, associated: [UInt8],
        into out: UnsafeMutableRawBufferPointer
    ) throws(SealError) {
        precondition(nonce.count == Self.nonceLength && out.count == input.count)
        guard let count = Int32(exactly: input.count), let associatedCount = Int32(exactly: associated.count) else {
            throw SealError(.refused, "seal a chunk", "a chunk is at most 2 GiB.")
        }
        var length: Int32 = 0
        guard EVP_CipherInit_ex(handle, nil, nil, nil, nonce.bound, direction.rawValue) == 1,
            associated.isEmpty || EVP_CipherUpdate(handle, nil, &length, associated, associatedCount) == 1,
            // Without an output the call takes its input for associated data: an empty chunk has none.
            count == 0 || EVP_CipherUpdate(handle, out.bound, &length, input.bound, count) == 1
        else { throw .library("seal or open a chunk") }
    }
}

extension CipherContext {
    /// One small thing under a key of its own, its tag behind it.
    static func sealed(
        _ plain: Secret, key: Secret, nonce: [UInt8], associated: [UInt8]
    ) throws(SealError) -> [UInt8] {
        var cipher = try CipherContext(.sealing, key: key)
        var out = [UInt8](repeating: 0, count: plain.count + tagLength)
        try nonce.lending { (nonce) throws(SealError) in
            try out.lendingMutable { (out) throws(SealError) in
                let (body, tag) = out.split(at: out.count - tagLength)
                try plain.withBytes { (plain) throws(SealError) in
                    try cipher.seal(plain, nonce: nonce, associated: associated, into: body, tag: tag)
                }
            }
        }
        return out
    }

    /// The reverse; nil when the tag does not agree.
    static func opened(
        _ sealed: [UInt8], key: Secret, nonce: [UInt8], associated: [UInt8]
    ) throws(SealError) -> Secret? {
        guard sealed.count >= tagLength, nonce.count == nonceLength else { return nil }
        var cipher = try CipherContext(.opening, key: key)
        var authentic = false
        let plain = try sealed.lending { (sealed) throws(SealError) in
            let (body, tag) = sealed.split(at: sealed.count - tagLength)
            return try Secret(capacity: body.count) { (out) throws(SealError) in
                authentic = try nonce.lending { (nonce) throws(SealError) in
                    try cipher.open(body, nonce: nonce, associated: associated, tag: tag, into: out)
                }
                return body.count
            }
        }
        return authentic ? plain : nil
    }
}

/// libcrypto's algorithms, looked up once: looking up takes as long as sealing a small record.
struct Algorithms: @unchecked Sendable {
    // Sendable by proof: fetched algorithms never change and libcrypto lets every thread use them; the template is
    // only ever duplicated, which reads it. They live as long as the process.
    let gcm: OpaquePointer
    /// HMAC-SHA-256 without a key.
    let hmac: OpaquePointer

    static let shared: Result<Algorithms, SealError> = Result { () throws(SealError) in try Algorithms() }

    private init() throws(SealError) {
        guard let gcm = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil) else { throw .library("find AES-256-GCM") }
        guard let mac = EVP_MAC_fetch(nil, "HMAC", nil), let template = EVP_MAC_CTX_new(mac) else {
            throw .library("find HMAC")
        }
        var digest = Array("SHA256".utf8CString)
        let done = digest.withUnsafeMutableBufferPointer { digest in
            let name: StaticString = "digest"  // OSSL_MAC_PARAM_DIGEST; it must outlive the parameter
            let parameters = [
                OSSL_PARAM_construct_utf8_string(
                    UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self), digest.baseAddress, 0),
                OSSL_PARAM_construct_end(),
            ]
            return EVP_MAC_CTX_set_params(template, parameters)
        }
        guard done == 1 else { throw .library("find SHA-256") }
        (self.gcm, hmac) = (gcm, template)
    }
}
