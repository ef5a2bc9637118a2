// Owns: the bytes of a journal file: its header and frames. Refuses: writing and syncing (JournalWriter), meaning
// (JournalEntry), keys and nonces (JournalSealer, JournalOpener).
//
// Header, 512 bytes:                          Frame, at a multiple of 8:
//   0  8  "POUCHJRN"                            0  4  magic "PFrm"
//   8  2  version                               4  4  flags (1: sealed, 2: opening)
//  10  2  flags (1: sealed)                     8  4  length of the payload
//  16 16  journal ID, random                   12  4  zero
//  32  8  stamp of the segment                 16  8  number of the frame, from 0
//  40  8  created, milliseconds                24 12  nonce, zero in a plain journal
//  48  8  key id, zero in a plain journal      36  4  zero
//  56     zero                                 40 16  tag: CRC-32 and zeros, or the AEAD's
// 508  4  CRC-32 of the bytes before           56     payload: entries; of an opening its salt
//
// The tag covers the journal ID, bytes 0 to 39 and the payload. Frames follow one another; the first place without the
// next frame is the end, whatever lies behind it (reserved room is zero, a torn tail is anything). In a sealed journal
// every frame is sealed, and each writer begins with an opening: a fresh salt in clear, from which with the journal key
// and the first 56 bytes of the header comes the key of the frames up to the next opening.

import MailModel

enum JournalFormat {
    static let headerLength = 512
    static let frameHeaderLength = 56
    static let coveredLength = 40
    static let magic = Array("POUCHJRN".utf8)
    static let frameMagic: UInt32 = 0x6D72_4650  // "PFrm", little-endian
    static let version: UInt16 = 1
    /// Of one frame; an index of a segment of the smallest messages takes about 4 MiB.
    static let payloadLimit = 16 << 20

    struct Header: Hashable, Sendable {
        var id: [UInt8]
        var segmentStamp: UInt64
        var created: Timestamp
        /// What it is sealed for; nil for a plain journal.
        var keyID: KeyID?

        /// Whether it may speak for a segment: it names it, and is sealed for the same key if that is sealed. Anybody who
        /// can write there can write a plain journal: for a sealed segment it proves nothing.
        func speaks(for stamp: UInt64, sealedFor key: KeyID?) -> Bool {
            segmentStamp == stamp && (key == nil || key == keyID)
        }

        /// What a sealed journal's keys are bound to: the bytes that say which journal it is.
        var binding: [UInt8] { Array(bytes.prefix(56)) }

        var bytes: [UInt8] {
            var out = JournalFormat.magic
            out.appendInteger(JournalFormat.version)
            out.appendInteger(UInt16(keyID == nil ? 0 : 1))
            out += [0, 0, 0, 0]
            out += id
            out.appendInteger(segmentStamp)
            out.appendInteger(created.milliseconds)
            out.appendInteger(keyID?.rawValue ?? 0)
            out += [UInt8](repeating: 0, count: 508 - out.count)
            out.appendInteger(Checksum.crc32(out))
            return out
        }

        init(segmentStamp: UInt64, created: Timestamp, keyID: KeyID? = nil) {
            (id, self.segmentStamp, self.created, self.keyID) = (.random(16), segmentStamp, created, keyID)
        }

        init?(_ bytes: [UInt8]) {
            guard bytes.count >= 512, bytes.prefix(8).elementsEqual(JournalFormat.magic),
                let checksum: UInt32 = bytes.integer(at: 508), Checksum.crc32(Array(bytes.prefix(508))) == checksum,
                let version: UInt16 = bytes.integer(at: 8), version == JournalFormat.version,
                let flags: UInt16 = bytes.integer(at: 10), flags <= 1,
                let stamp: UInt64 = bytes.integer(at: 32), let created: Int64 = bytes.integer(at: 40),
                let key: UInt64 = bytes.integer(at: 48)
            else { return nil }
            id = Array(bytes[16..<32])
            (segmentStamp, self.created) = (stamp, Timestamp(milliseconds: created))
            keyID = flags == 1 ? KeyID(rawValue: key) : nil
        }
    }

    /// A frame's flags.
    enum Flags {
        static let sealed: UInt32 = 1
        static let opening: UInt32 = 2
    }

    /// A frame of a plain journal.
    static func frame(_ payload: [UInt8], number: UInt64, id: [UInt8]) -> [UInt8] {
        var out = frameHeader(number, flags: 0, length: payload.count)
        out.setInteger(checksum(id: id, covered: out[..<coveredLength], payload: payload[...]), at: coveredLength)
        return padded(out + payload)
    }

    static func payload(_ entries: [JournalEntry]) -> [UInt8] {
        var payload = FieldWriter()
        for entry in entries { entry.append(to: &payload) }
        return payload.bytes
    }

    /// The 56 bytes of a frame without nonce and tag.
    static func frameHeader(_ number: UInt64, flags: UInt32, length: Int) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(frameHeaderLength + length + 8)
        out.appendInteger(frameMagic)
        out.appendInteger(flags)
        out.appendInteger(UInt32(length))
        out.appendInteger(UInt32(0))
        out.appendInteger(number)
        out += [UInt8](repeating: 0, count: frameHeaderLength - out.count)
        return out
    }

    static func padded(_ frame: [UInt8]) -> [UInt8] { frame + [UInt8](repeating: 0, count: (8 - frame.count % 8) % 8) }

    static func checksum(id: [UInt8], covered: ArraySlice<UInt8>, payload: ArraySlice<UInt8>) -> UInt32 {
        id.withUnsafeBytes { id in
            covered.withUnsafeBytes { covered in payload.withUnsafeBytes { Checksum.crc32(id, covered, $0) } }
        }
    }

    /// What a journal file says: its header, its frames in order, where the next one goes.
    struct Contents: Sendable {
        var header: Header
        /// An opening has no entries.
        var frameEntries: [(number: UInt64, entries: [JournalEntry])]
        var end: Int64
        /// A whole frame stands behind the end: what lies between is no torn tail but damage (or was never synced).
        var isInterrupted = false

        var frames: UInt64 { UInt64(frameEntries.count) }
        var entries: [JournalEntry] { frameEntries.flatMap(\.entries) }
    }

    /// Whether the file never got its header: its name became durable, its bytes did not.
    static func isUnwritten(_ bytes: [UInt8]) -> Bool { bytes.prefix(headerLength).allSatisfy { $0 == 0 } }

    /// Whether a whole header says what this program doesn't know: a newer version.
    static func isNewer(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= headerLength, bytes.prefix(8).elementsEqual(magic),
            let checksum: UInt32 = bytes.integer(at: 508)
        else { return false }
        return Checksum.crc32(Array(bytes.prefix(508))) == checksum && Header(bytes) == nil
    }
}
