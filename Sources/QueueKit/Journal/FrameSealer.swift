// Owns: the sealed frames that one writer of a journal makes. Refuses: files, numbers of frames (JournalWriter).

/// The journal key of a generation, and its name.
struct JournalSeal: Sendable {
    let id: KeyID
    let key: Secret

    /// - Throws: SealError `.unknownKey`.
    init(_ id: KeyID, _ keys: KeyRing) throws(SealError) { (self.id, key) = (id, try keys.journalKey(id)) }
}

/// Seals frames under a salt of its own, which its opening carries. Used by one thread.
final class FrameSealer {
    /// Octets of an opening in the file.
    static let openingLength = Int64(JournalFormat.frameHeaderLength + 16)

    private var sealer: JournalSealer
    /// The opening is in the file.
    var isOpened = false

    init(_ key: Secret, _ header: JournalFormat.Header) throws(SealError) {
        sealer = try JournalSealer(key, binding: header.binding)
    }

    func opening(number: UInt64) throws(SealError) -> [UInt8] {
        let flags = JournalFormat.Flags.sealed | JournalFormat.Flags.opening
        var header = JournalFormat.frameHeader(number, flags: flags, length: sealer.salt.count)
        try header.lendingMutable { (header) throws(SealError) in try sealer.sealOpening(header: header) }
        return JournalFormat.padded(header + sealer.salt)
    }

    func frame(_ payload: [UInt8], number: UInt64) throws(SealError) -> [UInt8] {
        var frame =
            JournalFormat.frameHeader(number, flags: JournalFormat.Flags.sealed, length: payload.count) + payload
        try frame.lendingMutable { (frame) throws(SealError) in
            let (header, body) = frame.split(at: JournalFormat.frameHeaderLength)
            try sealer.seal(header: header, UnsafeRawBufferPointer(body), into: body)
        }
        return JournalFormat.padded(frame)
    }
}
