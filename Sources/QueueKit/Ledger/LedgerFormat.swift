// Owns: the bytes of a ledger file: its header and its sealed frames. Refuses: files (LedgerFile), meaning (LedgerBook).
//
// Header, 512 bytes:                          Frame:
//   0  8  "POUCHLDG"                            0  4  magic "PLFm"
//   8  2  version                               4  4  flags: 1 sealed, 3 the opening frame
//  10  2  flags: 1 sealed                       8  4  length of the payload
//  12  4  frames of the packed part            12  4  zero
//  16 16  ledger's ID, random                  16  8  number of the frame, from 0
//  32  8  created, milliseconds                24 12  nonce
//  40  8  key id                               36  4  zero
//  48     zero                                 40 16  tag
// 508  4  CRC-32 of the bytes before           56     payload
//
// Frames are sealed as a journal's are (JournalSealer), with the ledger's key and bound to bytes 0 to 507 of the header.
// A file is written whole, synced, and only then gets its name: its packed part, an opening frame and the state as it
// was, is never torn. What comes behind was appended, one frame and a sync at a time: a torn frame is the last.

import MailModel

enum LedgerFormat {
    static let headerLength = 512
    static let frameHeaderLength = 56
    static let magic = Array("POUCHLDG".utf8)
    static let frameMagic: UInt32 = 0x6D46_4C50  // "PLFm", little-endian
    static let version: UInt16 = 1
    static let saltLength = 16
    /// Writers put at most this much into one frame, and one entry more.
    static let payloadTarget = 256 << 10
    static let payloadLimit = 1 << 20
    /// Room for two million segments at once. A file is read whole.
    static let sizeLimit = Int64(512) << 20

    struct Header: Hashable, Sendable {
        var packedFrames: UInt32
        var id: [UInt8] = .random(16)
        var created: Timestamp
        var keyID: KeyID

        var bytes: [UInt8] {
            var out = LedgerFormat.magic
            out.appendInteger(LedgerFormat.version)
            out.appendInteger(UInt16(1))
            out.appendInteger(packedFrames)
            out += id
            out.appendInteger(created.milliseconds)
            out.appendInteger(keyID.rawValue)
            out += [UInt8](repeating: 0, count: 508 - out.count)
            out.appendInteger(Checksum.crc32(out))
            return out
        }

        var binding: [UInt8] { Array(bytes.prefix(508)) }

        init(packedFrames: Int, created: Timestamp, keyID: KeyID) {
            self.packedFrames = UInt32(clamping: packedFrames)
            (self.created, self.keyID) = (created, keyID)
        }

        /// Nil unless the bytes are exactly what a writer of this version makes.
        init?(_ bytes: [UInt8]) {
            guard LedgerFormat.isWhole(bytes), let frames: UInt32 = bytes.integer(at: 12), frames > 0,
                let created: Int64 = bytes.integer(at: 32), let key: UInt64 = bytes.integer(at: 40)
            else { return nil }
            (packedFrames, id) = (frames, Array(bytes[16..<32]))
            (self.created, keyID) = (Timestamp(milliseconds: created), KeyID(rawValue: key))
            guard self.bytes.elementsEqual(bytes.prefix(LedgerFormat.headerLength)) else { return nil }
        }
    }

    private static func isWhole(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= headerLength, bytes.prefix(8).elementsEqual(magic),
            let checksum: UInt32 = bytes.integer(at: 508)
        else { return false }
        return Checksum.crc32(Array(bytes.prefix(508))) == checksum
    }

    /// Whether a whole header names a version that this program doesn't know.
    static func isNewer(_ bytes: [UInt8]) -> Bool {
        guard isWhole(bytes), let version: UInt16 = bytes.integer(at: 8) else { return false }
        return version > Self.version
    }

    static func frameHeader(number: UInt64, length: Int, isOpening: Bool) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(frameHeaderLength + length)
        out.appendInteger(frameMagic)
        out.appendInteger(UInt32(isOpening ? 3 : 1))
        out.appendInteger(UInt32(length))
        out.appendInteger(UInt32(0))
        out.appendInteger(number)
        out += [UInt8](repeating: 0, count: frameHeaderLength - out.count)
        return out
    }

    /// The length of the payload of the frame that begins here; nil when this is not the start of frame `number`, whole.
    static func payloadLength(_ rest: ArraySlice<UInt8>, number: UInt64) -> Int? {
        guard let magic: UInt32 = rest.integer(), magic == frameMagic, let flags: UInt32 = rest.integer(at: 4),
            flags == (number == 0 ? 3 : 1), let length: UInt32 = rest.integer(at: 8), length <= payloadLimit,
            let found: UInt64 = rest.integer(at: 16), found == number,
            rest.count >= frameHeaderLength + Int(length)
        else { return nil }
        return Int(length)
    }

    /// Puts entries into payloads of about `payloadTarget`.
    static func payloads(_ entries: some Sequence<LedgerEntry>) -> [[UInt8]] {
        var done: [[UInt8]] = []
        var current = FieldWriter()
        for entry in entries {
            entry.append(to: &current)
            guard current.bytes.count >= payloadTarget else { continue }
            done.append(current.bytes)
            current = FieldWriter()
        }
        if !current.bytes.isEmpty { done.append(current.bytes) }
        return done
    }
}

/// Seals the frames of one file, one after another.
final class LedgerSealer {
    private var sealer: JournalSealer
    private var number: UInt64 = 0

    init(_ key: Secret, _ header: LedgerFormat.Header) throws(SealError) {
        sealer = try JournalSealer(key, binding: header.binding)
    }

    /// The first frame.
    func opening() throws(SealError) -> [UInt8] {
        var frame = LedgerFormat.frameHeader(number: 0, length: LedgerFormat.saltLength, isOpening: true)
        try frame.lendingMutable { (header) throws(SealError) in try sealer.sealOpening(header: header) }
        number = 1
        return frame + sealer.salt
    }

    func frame(_ payload: [UInt8]) throws(SealError) -> [UInt8] {
        var frame = LedgerFormat.frameHeader(number: number, length: payload.count, isOpening: false)
        frame += payload
        try frame.lendingMutable { (frame) throws(SealError) in
            let (header, out) = frame.split(at: LedgerFormat.frameHeaderLength)
            try payload.lending { (payload) throws(SealError) in
                try sealer.seal(header: header, payload, into: out)
            }
        }
        number += 1
        return frame
    }
}

/// What became of reading a ledger.
struct LedgerReading: Sendable {
    /// As far as it could be read.
    var book: LedgerBook
    /// Why it is not a whole ledger; nil when it is. A torn tail is none.
    var damage: String?

    /// - Throws: SealError `.unknownKey`, or `.library`.
    init(_ bytes: [UInt8], _ header: LedgerFormat.Header, key: Secret) throws(SealError) {
        book = LedgerBook()
        var frames = LedgerFrames(bytes, JournalOpener(key, binding: header.binding))
        while let payload = try frames.next() {
            if payload.isOpening { continue }
            guard book.apply(payload.bytes) else {
                damage = "it holds an entry that no ledger of ours has."
                return
            }
        }
        if frames.number < UInt64(header.packedFrames) {
            damage = "it is not what was written, or was sealed with another key."
        } else if try frames.goesOn() {
            damage = "it is damaged in its middle."
        }
    }
}

/// Opens the frames of one file, one after another, up to the first place without the next one.
private struct LedgerFrames: ~Copyable {
    struct Payload {
        var bytes: [UInt8]
        var isOpening: Bool
    }

    private let file: [UInt8]
    private var opener: JournalOpener
    private var position = LedgerFormat.headerLength
    private(set) var number: UInt64 = 0

    init(_ file: [UInt8], _ opener: consuming JournalOpener) {
        self.file = file
        self.opener = opener
    }

    mutating func next() throws(SealError) -> Payload? {
        guard let length = LedgerFormat.payloadLength(file[position...], number: number),
            let payload = try open(at: position, length: length, isOpening: number == 0)
        else { return nil }
        position += LedgerFormat.frameHeaderLength + length
        number += 1
        return Payload(bytes: payload, isOpening: number == 1)
    }

    /// Whether a whole frame of this file lies behind the first bad place: then that is no torn tail. Hostile bytes
    /// may look like many frames: after twice the file's size of trying it is no torn tail either.
    mutating func goesOn() throws(SealError) -> Bool {
        var budget = 2 * file.count
        var start = position
        while let at = nextMagic(from: start) {
            start = at + 1
            guard let found: UInt64 = file[at...].integer(at: 16), found > number,
                let length = LedgerFormat.payloadLength(file[at...], number: found)
            else { continue }
            budget -= LedgerFormat.frameHeaderLength + length
            if budget < 0 { return true }
            if try open(at: at, length: length, isOpening: false) != nil { return true }
        }
        return false
    }

    private func nextMagic(from start: Int) -> Int? {
        let first = UInt8(truncatingIfNeeded: LedgerFormat.frameMagic)
        var position = start
        while position < file.count {
            if file[position] == first, let magic: UInt32 = file[position...].integer(),
                magic == LedgerFormat.frameMagic
            {
                return position
            }
            position += 1
        }
        return nil
    }

    private mutating func open(at start: Int, length: Int, isOpening: Bool) throws(SealError) -> [UInt8]? {
        let headerEnd = start + LedgerFormat.frameHeaderLength
        let header = Array(file[start..<headerEnd])
        let sealed = Array(file[headerEnd..<headerEnd + length])
        var out = [UInt8](repeating: 0, count: isOpening ? 0 : length)
        do throws(SealError) {
            try header.lending { (header) throws(SealError) in
                if isOpening { return try opener.begin(header: header, salt: sealed) }
                try sealed.lending { (sealed) throws(SealError) in
                    try out.lendingMutable { (out) throws(SealError) in
                        try opener.open(header: header, sealed, into: out)
                    }
                }
            }
        } catch {
            guard error.kind == .notAuthentic else { throw error }
            return nil
        }
        return out
    }
}
