// Owns: the header of a segment, byte by byte, and the committed offset beside it. Refuses: records, files.
//
// A header is 512 bytes and stands twice, at 0 and at 512; records begin at 1024. A disk writes whole sectors, so one
// of the two is always whole. The committed offset (16 bytes at 448 of the first block, with a checksum of its own) is
// rewritten after every commit, never synced on its own: a hint for readers while the writer lives.

import MailModel

/// Who writes a segment: each role has its place, and a writer key of its own in a sealed queue.
public enum SegmentRole: UInt8, Hashable, Sendable {
    case listener = 1
    case runner = 2
    case submitter = 3
}

struct SegmentHeader: Hashable, Sendable {
    static let blockSize = 512
    static let firstRecord: Int64 = 1024
    static let magic = Array("POUCHSEG".utf8)
    static let currentVersion: UInt16 = 1
    /// The header's checksum covers the bytes before it.
    static let checksumOffset = 444
    static let hintOffset = 448

    struct Flags: OptionSet, Hashable, Sendable {
        let rawValue: UInt16
        static let sealed = Flags(rawValue: 1)
        static let compressed = Flags(rawValue: 2)
        /// One message, complete before the file had its name.
        static let single = Flags(rawValue: 4)
        /// HPKE in PSK mode, with the role's writer key.
        static let preShared = Flags(rawValue: 8)
        static let known: Flags = [.sealed, .compressed, .single, .preShared]
    }

    var version = currentVersion
    var flags: Flags
    var role: SegmentRole
    /// 16 random bytes that stand nowhere else.
    var id: [UInt8]
    var created: Timestamp
    /// 16 random bytes for each run of a writer, and the segment's number in that run: the ledger's names.
    var run: [UInt8]
    var number: UInt64
    /// Of a sealed segment, zero in a plain one: key id, HPKE's encapsulated key, how record keys are derived, and a
    /// value that tells at once whether the key that opens it is the right one.
    var keyID: UInt64 = 0
    var encapsulated = [UInt8](repeating: 0, count: 32)
    var derivation: UInt8 = 0
    var iterations: UInt32 = 0
    var check = [UInt8](repeating: 0, count: 16)

    /// What a record carries of the segment's ID: eight bytes of its SHA-256. Stale blocks of an earlier use of the
    /// file never have it.
    var stamp: UInt64 { Checksum.sha256(id).integer() ?? 0 }

    /// What it is sealed for; nil for a plain segment.
    var sealedFor: KeyID? { flags.contains(.sealed) ? KeyID(rawValue: keyID) : nil }

    var bytes: [UInt8] {
        var out = Self.magic
        out.appendInteger(version)
        out.appendInteger(flags.rawValue)
        out += [role.rawValue, 0, 0, 0]
        out += id
        out.appendInteger(created.milliseconds)
        out += run
        out.appendInteger(number)
        out.appendInteger(keyID)
        out += encapsulated
        out += [derivation, 0, 0, 0]
        out.appendInteger(iterations)
        out += check
        out += [UInt8](repeating: 0, count: Self.checksumOffset - out.count)
        out.appendInteger(Checksum.crc32(out))
        out += [UInt8](repeating: 0, count: Self.blockSize - out.count)
        return out
    }

    /// Both blocks, as a new segment begins, with the committed offset at the first record.
    var blocks: [UInt8] {
        var first = bytes
        first.replaceSubrange(Self.hintOffset..<Self.hintOffset + 16, with: Self.hint(Self.firstRecord))
        return first + bytes
    }

    /// Reads one block; nil when it isn't a whole header of a version we know.
    init?(block: ArraySlice<UInt8>) {
        guard block.count >= Self.blockSize, block.prefix(8).elementsEqual(Self.magic),
            let checksum: UInt32 = block.integer(at: Self.checksumOffset),
            Checksum.crc32(Array(block.prefix(Self.checksumOffset))) == checksum,
            let version: UInt16 = block.integer(at: 8), version == Self.currentVersion,
            let rawFlags: UInt16 = block.integer(at: 10), Flags.known.isSuperset(of: Flags(rawValue: rawFlags)),
            let rawRole: UInt8 = block.integer(at: 12), let role = SegmentRole(rawValue: rawRole),
            let created: Int64 = block.integer(at: 32), let number: UInt64 = block.integer(at: 56),
            let keyID: UInt64 = block.integer(at: 64), let derivation: UInt8 = block.integer(at: 104),
            let iterations: UInt32 = block.integer(at: 108)
        else { return nil }
        let base = block.startIndex
        self.version = version
        (self.flags, self.role) = (Flags(rawValue: rawFlags), role)
        id = Array(block[base + 16..<base + 32])
        self.created = Timestamp(milliseconds: created)
        run = Array(block[base + 40..<base + 56])
        (self.number, self.keyID) = (number, keyID)
        encapsulated = Array(block[base + 72..<base + 104])
        (self.derivation, self.iterations) = (derivation, iterations)
        check = Array(block[base + 112..<base + 128])
    }

    init(flags: Flags, role: SegmentRole, created: Timestamp, run: [UInt8], number: UInt64) {
        (self.flags, self.role, self.created, self.run, self.number) = (flags, role, created, run, number)
        id = .random(16)
    }

    /// The header of a file from its first 1024 bytes: whichever of the two blocks is whole.
    static func read(_ start: [UInt8]) -> SegmentHeader? {
        SegmentHeader(block: start.prefix(blockSize)) ?? SegmentHeader(block: start.dropFirst(blockSize))
    }

    /// Whether a whole block says what this program doesn't know, a newer version above all.
    static func isNewer(_ start: [UInt8]) -> Bool {
        for block in [start.prefix(blockSize), start.dropFirst(blockSize)] {
            guard block.count >= blockSize, block.prefix(8).elementsEqual(magic),
                let checksum: UInt32 = block.integer(at: checksumOffset)
            else { continue }
            if Checksum.crc32(Array(block.prefix(checksumOffset))) == checksum { return true }
        }
        return false
    }

    /// The committed offset as it stands in the file: 8 bytes, their CRC-32, 4 bytes of zero.
    static func hint(_ offset: Int64) -> [UInt8] {
        var out: [UInt8] = []
        out.appendInteger(offset)
        out.appendInteger(Checksum.crc32(out))
        out.appendInteger(UInt32(0))
        return out
    }

    /// Reads it back; nil when torn.
    static func readHint(_ bytes: ArraySlice<UInt8>) -> Int64? {
        guard let offset: Int64 = bytes.integer(), let checksum: UInt32 = bytes.integer(at: 8),
            Checksum.crc32(Array(bytes.prefix(8))) == checksum, offset >= firstRecord
        else { return nil }
        return offset
    }
}

extension Int64 {
    /// The next multiple of 512, or the number itself.
    var alignedToBlock: Int64 { (self + 511) & ~511 }
}
