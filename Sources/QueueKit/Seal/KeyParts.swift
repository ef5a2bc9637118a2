// Owns: the parts of the keys as one program hands them to another, in wiped memory: a line of text, so that a
// credential store can hold it. Refuses: descriptors, deciding who gets which part.
//
//   pouch-writer 1 listener <public key> <writer key>      seals as that role; cannot open
//   pouch-private 1 <seed> [<seed>...]                     opens everything; the generation in use first
//
// Keys are 64 lowercase hexadecimal digits. The submitter's part, the public key, is no secret: `PublicKey`.

/// Seals as one role: the public key and the role's writer key, which is HPKE's pre-shared key. It opens nothing.
public struct WriterKey: Sendable {
    public let publicKey: PublicKey
    public let role: SegmentRole
    let secret: Secret

    init(_ publicKey: PublicKey, _ role: SegmentRole, _ secret: Secret) throws(SealError) {
        guard role != .submitter, secret.count == HPKE.preSharedKeyMinimum else {
            throw SealError(.malformed, "use a writer key", "it belongs to no writer or does not have 32 bytes.")
        }
        (self.publicKey, self.role, self.secret) = (publicKey, role, secret)
    }

    /// The name that HPKE binds beside the key (RFC 9180 §5.1: psk_id).
    var preSharedID: [UInt8] {
        switch role {
        case .listener: KeyDerivation.Label.listener.bytes
        case .runner, .submitter: KeyDerivation.Label.runner.bytes
        }
    }

    /// The line that hands it on.
    public var part: Secret {
        let name = role == .listener ? "listener" : "runner"
        return KeyPart.line(Array("pouch-writer 1 \(name) \(publicKey) ".utf8), [secret])
    }

    /// - Throws: SealError `.malformed`.
    public init(part: Secret) throws(SealError) {
        let words = KeyPart.words(part)
        guard words.count == 5, words[0].holds("pouch-writer"), words[1].holds("1"), let key = KeyPart.key(words[4]),
            let publicKey = KeyPart.key(words[3]).flatMap({ PublicKey(bytes: $0.withBytes { Array($0) }) })
        else { throw KeyPart.malformed("writer") }
        let role: SegmentRole
        if words[2].holds("listener") {
            role = .listener
        } else if words[2].holds("runner") {
            role = .runner
        } else {
            throw KeyPart.malformed("writer")
        }
        try self.init(publicKey, role, key)
    }
}

extension SpoolSeed {
    /// The line that hands all generations on, the one in use first.
    static func part(_ seeds: [SpoolSeed]) -> Secret {
        KeyPart.line(Array("pouch-private 1 ".utf8), seeds.map(\.secret))
    }

    /// - Throws: SealError `.malformed`.
    static func read(part: Secret) throws(SealError) -> [SpoolSeed] {
        let words = KeyPart.words(part)
        guard (3...2 + SpoolKeyFile.generationLimit).contains(words.count), words[0].holds("pouch-private"),
            words[1].holds("1")
        else { throw KeyPart.malformed("private") }
        var seeds: [SpoolSeed] = []
        for word in words.dropFirst(2) {
            guard let key = KeyPart.key(word) else { throw KeyPart.malformed("private") }
            seeds.append(try SpoolSeed(key))
        }
        return seeds
    }
}

/// Lines with keys in them, never outside of wiped memory.
private enum KeyPart {
    static let keyLength = 32
    static let sizeLimit = 1024

    static func malformed(_ name: String) -> SealError {
        SealError(.malformed, "read the \(name) key", "it is not what `mail-queue keys \(name)` prints.")
    }

    /// `prefix`, the keys in hexadecimal with spaces between, a line feed.
    static func line(_ prefix: [UInt8], _ keys: [Secret]) -> Secret {
        let size = prefix.count + keys.reduce(0) { $0 + $1.count * 2 + 1 }
        return Secret(capacity: size) { out in
            out.copyBytes(from: prefix)
            var position = prefix.count
            for (index, key) in keys.enumerated() {
                key.withBytes { bytes in
                    for byte in bytes {
                        (out[position], out[position + 1]) = (digit(byte >> 4), digit(byte & 15))
                        position += 2
                    }
                }
                out[position] = UInt8(ascii: index == keys.count - 1 ? "\n" : " ")
                position += 1
            }
            return position
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    /// The words of the first line, each in wiped memory; none when the line is too long or another one follows.
    static func words(_ part: Secret) -> [Secret] {
        part.withBytes { bytes in
            guard bytes.count <= sizeLimit else { return [] }
            let end = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            guard end >= bytes.count - 1 else { return [] }
            return bytes[..<end].split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
                .map { Secret(copying: UnsafeRawBufferPointer(rebasing: $0)) }
        }
    }

    /// 32 bytes from 64 digits.
    static func key(_ word: Secret) -> Secret? {
        guard word.count == keyLength * 2 else { return nil }
        let key = Secret(capacity: keyLength) { out in
            word.withBytes { digits in
                for index in 0..<keyLength {
                    guard let high = [UInt8].hexadecimalValue(digits[index * 2]),
                        let low = [UInt8].hexadecimalValue(digits[index * 2 + 1])
                    else { return 0 }
                    out[index] = high << 4 | low
                }
                return keyLength
            }
        }
        return key.isEmpty ? nil : key
    }
}

extension Secret {
    fileprivate func holds(_ text: String) -> Bool { withBytes { $0.elementsEqual(text.utf8) } }
}
