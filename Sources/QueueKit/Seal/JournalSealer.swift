// Owns: sealing and opening the frames of a journal. Refuses: the fields of a frame (JournalFormat), files.
//
// Each time a journal is opened for writing, its first frame is an opening frame: its payload is a fresh salt, in
// clear, its tag proves the journal key. From journal key and salt comes the key of all frames up to the next opening,
// so that a frame number written again after a torn tail was cut never meets the same key. The journal's own header
// (ID, stamp of the segment) is bound into that key. Nonce: 4 random bytes, then a count of seals, tried ones too.

/// Where sealing stands in the 56 bytes of a frame's header; the other fields are JournalFormat's.
private enum SealedFrame {
    static let nonceOffset = 24
    static let coveredLength = 40
    static let headerLength = 56
    static let saltLength = 16
    static let prefixLength = 4

    static func key(_ journalKey: Secret, binding: [UInt8], salt: [UInt8]) throws(SealError) -> Secret {
        try HKDF.derive(journalKey, salt: salt, info: KeyDerivation.Label.journalOpening.bytes + binding)
    }
}

/// Seals the frames that one opening of a journal writes.
struct JournalSealer: ~Copyable {
    /// The payload of the opening frame.
    let salt: [UInt8]
    private let prefix: [UInt8]
    private var cipher: CipherContext
    private var seals: UInt64 = 0

    /// - Parameters:
    ///   - key: the journal key of the generation that the journal's header names.
    ///   - binding: the bytes of the journal's header that never change.
    init(_ key: Secret, binding: [UInt8]) throws(SealError) {
        let random = try RandomBytes.make(SealedFrame.saltLength + SealedFrame.prefixLength)
        let salt = Array(random.prefix(SealedFrame.saltLength))
        cipher = try CipherContext(.sealing, key: try SealedFrame.key(key, binding: binding, salt: salt))
        (self.salt, prefix) = (salt, Array(random.dropFirst(SealedFrame.saltLength)))
    }

    /// Completes the header of the opening frame, whose payload, the salt, stays in clear.
    mutating func sealOpening(header: UnsafeMutableRawBufferPointer) throws(SealError) {
        let none = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        try seal(header: header, UnsafeRawBufferPointer(none), more: salt, into: none)
    }

    /// Writes nonce and tag into `header` (56 bytes, their other fields in place), the sealed payload into `out`.
    mutating func seal(
        header: UnsafeMutableRawBufferPointer, _ payload: UnsafeRawBufferPointer,
        into out: UnsafeMutableRawBufferPointer
    ) throws(SealError) {
        try seal(header: header, payload, more: [], into: out)
    }

    private mutating func seal(
        header: UnsafeMutableRawBufferPointer, _ payload: UnsafeRawBufferPointer, more: [UInt8],
        into out: UnsafeMutableRawBufferPointer
    ) throws(SealError) {
        precondition(header.count == SealedFrame.headerLength)
        guard seals < .max else { throw SealError(.refused, "seal a frame", "this opening is used up.") }
        var nonce = prefix
        nonce.appendInteger(seals)
        seals += 1
        UnsafeMutableRawBufferPointer(rebasing: header[SealedFrame.nonceOffset...]).copyBytes(from: nonce)
        let (covered, tag) = header.split(at: SealedFrame.coveredLength)
        let associated = Array(covered) + more
        try nonce.lending { (nonce) throws(SealError) in
            try cipher.seal(payload, nonce: nonce, associated: associated, into: out, tag: tag)
        }
    }
}

/// Opens the frames of a journal, one after another.
struct JournalOpener: ~Copyable {
    private let key: Secret
    private let binding: [UInt8]
    private var cipher: CipherContext?

    init(_ key: Secret, binding: [UInt8]) { (self.key, self.binding) = (key, binding) }

    /// Goes over to the key of an opening frame.
    ///
    /// - Throws: SealError `.notAuthentic`; the key before it stays in use.
    mutating func begin(header: UnsafeRawBufferPointer, salt: [UInt8]) throws(SealError) {
        guard salt.count == SealedFrame.saltLength else { throw .notAuthentic("open a journal") }
        var next = try CipherContext(.opening, key: try SealedFrame.key(key, binding: binding, salt: salt))
        let none = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        guard try next.open(frame: header, UnsafeRawBufferPointer(none), more: salt, into: none) else {
            throw .notAuthentic("open a journal")
        }
        cipher = consume next
    }

    /// - Throws: SealError `.notAuthentic`, before any opening frame too.
    mutating func open(
        header: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
    ) throws(SealError) {
        guard try cipher?.open(frame: header, payload, more: [], into: out) ?? false else {
            throw .notAuthentic("open a frame of a journal")
        }
    }
}

extension CipherContext {
    fileprivate mutating func open(
        frame header: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, more: [UInt8],
        into out: UnsafeMutableRawBufferPointer
    ) throws(SealError) -> Bool {
        guard header.count == SealedFrame.headerLength else { return false }
        let (covered, tag) = header.split(at: SealedFrame.coveredLength)
        let nonce = Array(covered[SealedFrame.nonceOffset..<SealedFrame.nonceOffset + CipherContext.nonceLength])
        let associated = Array(covered) + more
        return try nonce.lending { (nonce) throws(SealError) in
            try open(payload, nonce: nonce, associated: associated, tag: tag, into: out)
        }
    }
}
