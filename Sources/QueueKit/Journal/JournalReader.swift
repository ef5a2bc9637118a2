// Owns: reading the bytes of a journal, plain or sealed: which frames count and where the next one goes. Refuses:
// files (JournalWriter), what the entries add up to (MessageState).

import MailModel

/// Reads the frames of one journal, in order.
struct JournalReader: ~Copyable {
    private let header: JournalFormat.Header
    private let bytes: [UInt8]
    private var opener: JournalOpener?

    /// Reads a whole journal; nil when not even its header is whole.
    ///
    /// - Throws: SealError `.unknownKey` when it is sealed and the key is not known; `.library`.
    static func read(_ bytes: [UInt8], keys: KeyRing?) throws(SealError) -> JournalFormat.Contents? {
        guard let header = JournalFormat.Header(bytes) else { return nil }
        var reader = try JournalReader(header, bytes, keys)
        var result = JournalFormat.Contents(
            header: header, frameEntries: [], end: Int64(JournalFormat.headerLength))
        while let (entries, length) = try reader.frame(at: Int(result.end), number: result.frames) {
            result.frameEntries.append((result.frames, entries))
            result.end += Int64(length)
        }
        result.isInterrupted = try reader.hasFrame(after: result)
        return result
    }

    private init(_ header: JournalFormat.Header, _ bytes: [UInt8], _ keys: KeyRing?) throws(SealError) {
        (self.header, self.bytes) = (header, bytes)
        opener = nil
        guard let id = header.keyID else { return }
        guard let keys else { throw SealError(.unknownKey(id), "open a journal", "no key was given.") }
        opener = JournalOpener(try keys.journalKey(id), binding: header.binding)
    }

    private mutating func hasFrame(after contents: JournalFormat.Contents) throws(SealError) -> Bool {
        let first = UInt8(truncatingIfNeeded: JournalFormat.frameMagic)
        var position = Int(contents.end)
        while position < bytes.count {
            // Most of what lies behind the end is reserved room: zeros.
            if bytes[position] == first, let number: UInt64 = bytes.integer(at: position + 16),
                number > contents.frames
            {
                // Behind a broken opening nothing can be opened: its look must do.
                if header.keyID != nil, isFramed(at: position) { return true }
                if try frame(at: position, number: number) != nil { return true }
            }
            position += 8
        }
        return false
    }

    private func isFramed(at offset: Int) -> Bool {
        guard let magic: UInt32 = bytes.integer(at: offset), let flags: UInt32 = bytes.integer(at: offset + 4),
            let length: UInt32 = bytes.integer(at: offset + 8), let zero: UInt32 = bytes.integer(at: offset + 12)
        else { return false }
        return magic == JournalFormat.frameMagic && flags & ~3 == 0 && flags & JournalFormat.Flags.sealed != 0
            && zero == 0 && offset + JournalFormat.frameHeaderLength + Int(length) <= bytes.count
    }

    /// The frame with this number, if it stands there whole.
    private mutating func frame(
        at offset: Int, number: UInt64
    ) throws(SealError) -> (entries: [JournalEntry], length: Int)? {
        let rest = bytes[min(offset, bytes.count)...]
        guard let magic: UInt32 = rest.integer(), magic == JournalFormat.frameMagic,
            let flags: UInt32 = rest.integer(at: 4), let length: UInt32 = rest.integer(at: 8),
            length <= JournalFormat.payloadLimit, let zero: UInt32 = rest.integer(at: 12), zero == 0,
            let found: UInt64 = rest.integer(at: 16), found == number,
            rest.count >= JournalFormat.frameHeaderLength + Int(length)
        else { return nil }
        let body = rest.startIndex + JournalFormat.frameHeaderLength
        let payload = rest[body..<body + Int(length)]
        guard let entries = try entries(rest[rest.startIndex..<body], payload, flags) else { return nil }
        let padded = (JournalFormat.frameHeaderLength + Int(length) + 7) & ~7
        return (entries, min(padded, rest.count))
    }

    private mutating func entries(
        _ start: ArraySlice<UInt8>, _ payload: ArraySlice<UInt8>, _ flags: UInt32
    ) throws(SealError) -> [JournalEntry]? {
        guard header.keyID != nil else {
            let covered = start.prefix(JournalFormat.coveredLength)
            guard flags == 0, let tag: UInt32 = start.integer(at: JournalFormat.coveredLength), covered.isPlainFrame,
                JournalFormat.checksum(id: header.id, covered: covered, payload: payload) == tag
            else { return nil }
            return JournalEntry.readAll(payload)
        }
        switch flags {
        case JournalFormat.Flags.sealed | JournalFormat.Flags.opening:
            let salt = Array(payload)
            return try Self.authentic { () throws(SealError) in
                try Array(start).lending { (start) throws(SealError) in try opener?.begin(header: start, salt: salt) }
                return []
            }
        case JournalFormat.Flags.sealed:
            var plain = Array(payload)
            let opened = try Self.authentic { () throws(SealError) in
                try Array(start).lending { (start) throws(SealError) in
                    try plain.lendingMutable { (plain) throws(SealError) in
                        try opener?.open(header: start, UnsafeRawBufferPointer(plain), into: plain)
                    }
                }
                return []
            }
            return opened == nil ? nil : JournalEntry.readAll(plain[...])
        default: return nil
        }
    }

    private static func authentic(_ body: () throws(SealError) -> [JournalEntry]) throws(SealError) -> [JournalEntry]? {
        do throws(SealError) {
            return try body()
        } catch {
            guard error.kind == .library else { return nil }
            throw error
        }
    }
}

extension ArraySlice where Element == UInt8 {
    /// Whether a plain frame's room for a nonce is zero.
    fileprivate var isPlainFrame: Bool { dropFirst(24).allSatisfy { $0 == 0 } }
}
