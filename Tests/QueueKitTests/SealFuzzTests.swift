// Real segments and journals, changed at random in every way a disk or its host can change them: no reader crashes, no
// byte differs from what was stored, nothing is final that was not. `POUCH_FUZZ` is the number of changes (5,000).

import Glibc
import MailModel
import Testing

@testable import QueueKit

private let mutations = getenv("POUCH_FUZZ").flatMap { Int(String(cString: $0)) } ?? 5000

/// One change of some bytes, repeatable by its seed.
private struct Mutation {
    var random: Repeatable

    init(seed: Int) { random = Repeatable(state: UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1) }

    private mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<max(1, limit), using: &random) }

    /// Where things are decided: headers more often than payloads.
    private mutating func place(_ count: Int) -> Int {
        switch below(4) {
        case 0: below(min(1024, count))
        case 1: min(count - 1, below(count) & ~511 + below(80))
        default: below(count)
        }
    }

    mutating func apply(to bytes: inout [UInt8]) {
        for _ in 0...below(3) {
            let at = place(bytes.count)
            switch below(7) {
            case 0, 1: bytes[at] ^= UInt8(1) << UInt8(below(8))
            case 2: bytes[at] = UInt8(below(256))
            case 3:
                let length = min(below(600), bytes.count - at)
                for index in at..<at + length { bytes[index] = UInt8(below(256)) }
            case 4:
                // A piece repeated, moved over another, or swapped: block-wise as often as not.
                let mask = below(2) == 0 ? ~511 : ~0
                let (from, to) = (below(bytes.count) & mask, at & mask)
                let length = min(below(4096), bytes.count - max(from, to))
                let (a, b) = (Array(bytes[from..<from + length]), Array(bytes[to..<to + length]))
                bytes.replaceSubrange(to..<to + length, with: a)
                if below(2) == 0 { bytes.replaceSubrange(from..<from + length, with: b) }
            case 5: bytes.removeLast(below(bytes.count - 1))
            default:
                let length = min(8, bytes.count - at)
                for index in at..<at + length { bytes[index] = below(2) == 0 ? 255 : 0 }
            }
        }
        mend(&bytes)
    }

    /// Half of the time the checksum of a changed header is made to fit, as a host would.
    private mutating func mend(_ bytes: inout [UInt8]) {
        guard below(2) == 0, bytes.count >= 1024 else { return }
        for start in [0, 512] {
            let sum = Checksum.crc32(Array(bytes[start..<start + SegmentHeader.checksumOffset]))
            bytes.setInteger(sum, at: start + SegmentHeader.checksumOffset)
        }
    }
}

@Suite struct SealFuzzTests {
    @Test(arguments: [true, false])
    func segments(sealed: Bool) throws {
        let fixture = try SealFixture()
        let spool = try TemporarySpool()
        let protection = Protection(sealer: sealed ? try fixture.sealer(.listener) : nil, compressing: true)
        let intake = try Intake(
            spool.layout, place: .incoming, protection: protection, syscalls: FaultySyscalls())
        let sizes = [0, 30, 700, 9000, 70_000]
        let placements = try sizes.map { try intake.store(envelope(), text($0)) }
        intake.close()
        let stored = Dictionary(uniqueKeysWithValues: zip(placements.map(\.message.id), sizes.map(text)))
        let directory = try spool.directory(.incoming)
        let original = try directory.open("\(placements[0].segment)", flags: O_RDONLY)
        let whole = try original.read(Int(try original.size()), at: 0)
        let file = try directory.open("mutated", flags: O_RDWR | O_CREAT, mode: 0o600)
        for seed in 0..<mutations / 4 {
            var mutation = Mutation(seed: seed)
            var bytes = whole
            mutation.apply(to: &bytes)
            try file.truncate(to: 0)
            try file.write(bytes, at: 0)
            guard let reader = try? SegmentReader(file, in: .incoming, keys: fixture.ring) else { continue }
            let scan = try reader.scan(from: 1024, limit: Int64(bytes.count), verifyingContent: true)
            for message in scan.messages {
                let content = try reader.content(of: message).all()
                #expect(stored[message.id] == content, "seed \(seed)")
            }
            for placement in placements {
                // As an attempt reads it: what comes out whole is what went in.
                guard let message = try? reader.message(at: placement.message.offset),
                    let content = try? reader.content(of: message).all()
                else { continue }
                #expect(stored[message.id] == content && message.id == placement.message.id, "seed \(seed)")
            }
            _ = try? SegmentOutline(file, reader.header, limit: .max)
        }
    }

    @Test(arguments: [true, false])
    func journals(sealed: Bool) throws {
        let fixture = try SealFixture()
        let spool = try TemporarySpool()
        let directory = try spool.directory(.queue)
        let seal = sealed ? try JournalSeal(fixture.ring.publicKey.id, fixture.ring) : nil
        var original: [JournalEntry] = []
        var writer = try JournalWriter(
            creating: "a.journal", in: directory, segmentStamp: 7, seal, clock: SystemClock())
        for number in 0..<12 {
            let entries = (0..<number).map { JournalEntry.held(message: Int64($0), reason: "reason \(number)") }
            try writer.append(entries + [.removed(message: Int64(number))])
            original += entries + [.removed(message: Int64(number))]
            guard number == 6 else { continue }
            let contents = try #require(try JournalWriter.read("a.journal", in: directory, keys: fixture.ring) ?? nil)
            writer = try JournalWriter(continuing: contents, name: "a.journal", in: directory, seal)
        }
        let file = try writer.file()
        let whole = try file.read(Int(try file.size()), at: 0)
        #expect(try JournalReader.read(whole, keys: fixture.ring)?.entries == original)
        for seed in 0..<mutations / 4 {
            var mutation = Mutation(seed: seed)
            var bytes = whole
            mutation.apply(to: &bytes)
            if seed % 2 == 0, bytes.count >= 512 { bytes.setInteger(Checksum.crc32(Array(bytes[..<508])), at: 508) }
            guard let read = try? JournalReader.read(bytes, keys: fixture.ring) else { continue }
            #expect(original.starts(with: read.entries), "seed \(seed): the beginning of what was written, no more")
        }
    }
}
