// Owns: the bytes of a journal file: its header and frames. Refuses: writing and syncing (JournalWriter), meaning
// (JournalEntry).
//
// Header, 512 bytes:                          Frame, at a multiple of 8:
//   0  8  "POUCHJRN"                            0  4  magic "PFrm"
//   8  2  version                               4  4  flags (1: sealed)
//  10  2  flags (1: sealed)                     8  4  length of the payload
//  16 16  journal ID, random                   12  4  zero
//  32  8  stamp of the segment                 16  8  number of the frame, from 0
//  40  8  created, milliseconds                24 12  nonce (room for sealing)
//  48  8  key id (room)                        36  4  zero
//  56 16  salt (room)                          40 16  tag: CRC-32 and zeros, or the AEAD's
// 508  4  CRC-32 of the bytes before           56     payload: entries
//
// The tag covers the journal ID, bytes 0 to 39 and the payload. Frames follow one another; the first place without the
// next frame is the end, whatever lies behind it (reserved room is zero, a torn tail is anything).

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

        var bytes: [UInt8] {
            var out = JournalFormat.magic
            out.appendInteger(JournalFormat.version)
            out += [0, 0, 0, 0, 0, 0]
            out += id
            out.appendInteger(segmentStamp)
            out.appendInteger(created.milliseconds)
            out += [UInt8](repeating: 0, count: 508 - out.count)
            out.appendInteger(Checksum.crc32(out))
            return out
        }

        init(segmentStamp: UInt64, created: Timestamp) {
            (id, self.segmentStamp, self.created) = (.random(16), segmentStamp, created)
        }

        init?(_ bytes: [UInt8]) {
            guard bytes.count >= 512, bytes.prefix(8).elementsEqual(JournalFormat.magic),
                let checksum: UInt32 = bytes.integer(at: 508), Checksum.crc32(Array(bytes.prefix(508))) == checksum,
                let version: UInt16 = bytes.integer(at: 8), version == JournalFormat.version,
                let flags: UInt16 = bytes.integer(at: 10), flags == 0,
                let stamp: UInt64 = bytes.integer(at: 32), let created: Int64 = bytes.integer(at: 40)
            else { return nil }
            id = Array(bytes[16..<32])
            (segmentStamp, self.created) = (stamp, Timestamp(milliseconds: created))
        }
    }

    static func frame(_ entries: [JournalEntry], number: UInt64, id: [UInt8]) -> [UInt8] {
        var payload = FieldWriter()
        for entry in entries { entry.append(to: &payload) }
        var out: [UInt8] = []
        out.reserveCapacity(frameHeaderLength + payload.bytes.count + 8)
        out.appendInteger(frameMagic)
        out.appendInteger(UInt32(0))
        out.appendInteger(UInt32(payload.bytes.count))
        out.appendInteger(UInt32(0))
        out.appendInteger(number)
        out += [UInt8](repeating: 0, count: coveredLength - out.count)
        out.appendInteger(checksum(id: id, covered: out[...], payload: payload.bytes[...]))
        out += [UInt8](repeating: 0, count: frameHeaderLength - out.count)
        out += payload.bytes
        out += [UInt8](repeating: 0, count: (8 - out.count % 8) % 8)
        return out
    }

    private static func checksum(id: [UInt8], covered: ArraySlice<UInt8>, payload: ArraySlice<UInt8>) -> UInt32 {
        id.withUnsafeBytes { id in
            covered.withUnsafeBytes { covered in payload.withUnsafeBytes { Checksum.crc32(id, covered, $0) } }
        }
    }

    /// What a journal file says: its header, its frames in order, where the next one goes.
    struct Contents: Sendable {
        var header: Header
        var frameEntries: [(number: UInt64, entries: [JournalEntry])]
        var end: Int64
        /// A whole frame stands behind the end: what lies between is no torn tail but damage (or was never synced).
        var isInterrupted = false

        var frames: UInt64 { UInt64(frameEntries.count) }
        var entries: [JournalEntry] { frameEntries.flatMap(\.entries) }
    }

    /// Reads a whole journal; nil when not even its header is whole.
    static func read(_ bytes: [UInt8]) -> Contents? {
        guard let header = Header(bytes) else { return nil }
        var result = Contents(header: header, frameEntries: [], end: Int64(headerLength))
        while let (entries, length) = readFrame(bytes[Int(result.end)...], number: result.frames, id: header.id) {
            result.frameEntries.append((result.frames, entries))
            result.end += Int64(length)
        }
        result.isInterrupted = hasFrame(after: result, in: bytes)
        return result
    }

    private static func hasFrame(after contents: Contents, in bytes: [UInt8]) -> Bool {
        var position = Int(contents.end) + 8
        while position < bytes.count {
            let rest = bytes[position...]
            // Most of what lies behind the end is reserved room: zeros.
            if rest.first == UInt8(truncatingIfNeeded: frameMagic), let number: UInt64 = rest.integer(at: 16),
                number > contents.frames, readFrame(rest, number: number, id: contents.header.id) != nil
            {
                return true
            }
            position += 8
        }
        return false
    }

    /// Whether the file never got its header: its name became durable, its bytes did not.
    static func isUnwritten(_ bytes: [UInt8]) -> Bool { bytes.prefix(headerLength).allSatisfy { $0 == 0 } }

    /// Whether a whole header says what this program doesn't know: a newer version, sealing.
    static func isNewer(_ bytes: [UInt8]) -> Bool {
        guard bytes.count >= headerLength, bytes.prefix(8).elementsEqual(magic),
            let checksum: UInt32 = bytes.integer(at: 508)
        else { return false }
        return Checksum.crc32(Array(bytes.prefix(508))) == checksum && Header(bytes) == nil
    }

    private static func readFrame(
        _ rest: ArraySlice<UInt8>, number: UInt64, id: [UInt8]
    ) -> (entries: [JournalEntry], length: Int)? {
        guard let magic: UInt32 = rest.integer(), magic == frameMagic, let flags: UInt32 = rest.integer(at: 4),
            flags == 0, let length: UInt32 = rest.integer(at: 8), length <= payloadLimit,
            let found: UInt64 = rest.integer(at: 16), found == number, let tag: UInt32 = rest.integer(at: 40),
            rest.count >= frameHeaderLength + Int(length)
        else { return nil }
        let start = rest.startIndex
        let payload = rest[start + frameHeaderLength..<start + frameHeaderLength + Int(length)]
        guard checksum(id: id, covered: rest[start..<start + coveredLength], payload: payload) == tag,
            let entries = JournalEntry.readAll(payload)
        else { return nil }
        let padded = (frameHeaderLength + Int(length) + 7) & ~7
        return (entries, min(padded, rest.count))
    }
}
