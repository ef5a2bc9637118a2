// The sealed queue as a whole: who can write what where, what a key that is missing or wrong does to the mail, what the
// storage host can change without anybody noticing (nothing), and any order of configurations over one spool.

import Glibc
import MailModel
import Testing

@testable import QueueKit

/// A spool of one configuration after another.
private struct Spool {
    let spool: TemporarySpool
    let fixture: SealFixture

    init() throws { (spool, fixture) = (try TemporarySpool(), try SealFixture()) }

    func protection(_ role: SegmentRole, _ kind: Kind = .both) throws -> Protection {
        Protection(sealer: kind.isSealed ? try fixture.sealer(role) : nil, compressing: kind.isCompressed)
    }

    func listen(_ envelopes: [Envelope], size: Int = 1000, _ kind: Kind = .both) throws -> [Placement] {
        let intake = try Intake(
            spool.layout, place: .incoming, protection: try protection(.listener, kind), syscalls: FaultySyscalls())
        defer { intake.close() }
        return try envelopes.map { try intake.store($0, text(size)) }
    }

    func submit(_ envelope: Envelope, _ kind: Kind = .both, protection other: Protection? = nil) throws {
        let drop = try OfflineDrop(
            spool.layout, envelope, protection: try other ?? protection(.submitter, kind), syscalls: FaultySyscalls())
        try drop.append(text(1000))
        try drop.commit()
    }

    func runner(_ kind: Kind = .both, keys: KeyRing? = nil, keyless: Bool = false) throws -> TestRunner {
        try TestRunner(spool, protection: try protection(.runner, kind), keys: keyless ? nil : keys ?? fixture.ring)
    }

    func file(_ place: SpoolLayout.Place, _ name: String) throws -> OpenFile {
        try spool.directory(place).open(name, flags: O_RDWR)
    }
}

private enum Kind: CaseIterable {
    case plain, compressed, sealed, both
    var isSealed: Bool { self == .sealed || self == .both }
    var isCompressed: Bool { self == .compressed || self == .both }
}

@Suite struct SealedQueueTests {
    /// Whatever is configured later, mail of every earlier configuration is delivered, by readers that only know keys.
    @Test(arguments: Kind.allCases)
    private func everyConfigurationReadsAllOthers(last: Kind) throws {
        let spool = try Spool()
        var ids: Set<QueueID> = []
        for kind in Kind.allCases {
            let (first, second) = (envelope(), envelope())
            _ = try spool.listen([first], size: 200_000, kind)
            try spool.submit(second, kind)
            ids.formUnion([first.id, second.id])
            let runner = try spool.runner(kind)
            #expect(runner.collect { runner.queue.count == ids.count })
            for id in runner.queue.takeDue(limit: 10) { try runner.attempt(id, .deferred) }
            runner.settle()
            runner.queue.close()
        }
        let runner = try spool.runner(last)
        #expect(Set(runner.queue.ids) == ids)
        runner.clock.advance(.seconds(1000))
        let delivered = try runner.deliverAll()
        #expect(Set(delivered.map(\.id)) == ids)
        #expect(delivered.allSatisfy { $0.content == text($0.content.count > 1000 ? 200_000 : 1000) })
        #expect(runner.quarantined.isEmpty && runner.failures.isEmpty)
    }

    @Test func nothingOfTheMailStandsInClear() throws {
        let spool = try Spool()
        var secret = envelope(to: ["unmistakable@example.org"])
        secret.envelopeID = "also-unmistakable"
        _ = try spool.listen([secret], .sealed)
        try spool.submit(envelope(to: ["unmistakable@example.org"]), .sealed)
        let runner = try spool.runner(.sealed)
        runner.collect { runner.queue.count == 2 }
        for id in runner.queue.takeDue(limit: 9) { try runner.attempt(id, .deferred) }
        _ = try runner.queue.expand(secret.id, recipient: 0, into: [Recipient(mailbox("unmistakable@b.example"))])
        runner.settle()
        runner.queue.close()
        for place in SpoolLayout.Place.allCases {
            for name in try spool.spool.names(place) where !name.hasPrefix("spare.") {
                guard let file = try? spool.file(place, name) else { continue }
                let bytes = try file.read(Int(try file.size()), at: 0)
                #expect(!bytes.contains(Array("unmistakable".utf8)) && !bytes.contains(text(40)), "\(name)")
            }
        }
    }

    @Test func mailOfAnUnknownKeyIsHeldAndSaidWithItsKey() throws {
        let spool = try Spool()
        let (heard, dropped) = (envelope(), envelope())
        _ = try spool.listen([heard])
        try spool.submit(dropped)
        let other = try KeyRing(try .random())
        for keys in [other, nil] {
            let runner = try spool.runner(.plain, keys: keys, keyless: keys == nil)
            for _ in 0..<5 { runner.queue.collect() }
            #expect(runner.queue.count == 0 && runner.quarantined.isEmpty)
            #expect(runner.failures.count == 2)
            for failure in runner.failures {
                #expect(failure.kind == .unknownKey(spool.fixture.ring.publicKey.id))
                #expect("\(failure)".contains("\(spool.fixture.ring.publicKey.id)") && "\(failure)".contains("held"))
            }
            runner.queue.close()
        }
        let runner = try spool.runner()
        #expect(runner.collect { Set(runner.queue.ids) == [heard.id, dropped.id] }, "with its key it is all there")
    }

    @Test func aJournalOfAnUnknownKeyIsHeldToo() throws {
        let spool = try Spool()
        let ids = try spool.listen([envelope(), envelope()]).map(\.message.id)
        let first = try spool.runner()
        let delivered = first.queue.takeDue(limit: 1)[0]
        try first.attempt(delivered, .delivered)
        first.queue.close()
        let blind = try spool.runner(keys: try KeyRing(try .random()))
        #expect(blind.queue.count == 0)
        blind.queue.close()
        #expect(try spool.runner().queue.ids == ids.filter { $0 != delivered }, "nothing was lost, nothing comes twice")
    }

    /// The first order of trust: a file counts for what its writer could seal where it lies.
    @Test func wrongWritersAreQuarantined() throws {
        let spool = try Spool()
        // A drop, sealed as drops are, put where only the listener and the runner write.
        for place in [SpoolLayout.Place.incoming, .queue] {
            try spool.submit(envelope())
            let name = try #require(try spool.spool.names(.offline).first)
            let moved = SegmentName(.make(SystemClock())).description
            try spool.spool.directory(.offline).rename(name, to: spool.spool.directory(place), moved)
        }
        // The listener's own, put among the runner's.
        let placement = try spool.listen([envelope()])[0]
        try spool.spool.directory(.incoming).rename(
            placement.segment.description, to: spool.spool.directory(.queue), placement.segment.description)
        let runner = try spool.runner()
        #expect(runner.queue.count == 0 && runner.quarantined.count == 3)
        #expect(runner.quarantined.allSatisfy { $0.contains("business there") })
    }

    /// With all that an owned listener holds.
    @Test func theListenersPartOpensNothingAndForgesNoState() throws {
        let spool = try Spool()
        let placement = try spool.listen([envelope()])[0]
        let part = try WriterKey(part: try #require(spool.fixture.ring.writerKey(.listener)).part)
        // It is no private part, and its own segment, sealed by it, needs one.
        #expect(throws: SealError.self) { try KeyRing(part: part.part) }
        let header = try SegmentReader.header(of: try spool.file(.incoming, placement.segment.description)).0
        #expect(header.flags.contains(.sealed))
        // A segment sealed with it among the runner's, under the runner's role: the role's key is another one.
        let sealer = try SegmentSealer(writer: part)
        let plain = SegmentHeader(
            flags: [], role: .runner, created: Timestamp(milliseconds: 1), run: .random(16), number: 0)
        #expect(throws: QueueError.self) { try SegmentStart(plain, Protection(sealer: sealer)) }
        var forged = SegmentHeader(
            flags: [], role: .listener, created: Timestamp(milliseconds: 1), run: .random(16), number: 0)
        _ = try sealer.seal(&forged)
        forged.role = .runner
        #expect(throws: SealError.self) { try spool.fixture.ring.open(forged, in: .queue) }
    }

    /// Whoever can write `queue/` can write a journal; without the key it says nothing.
    @Test(arguments: ["plain", "sealed with another key", "of another segment", "bits flipped"])
    func aForgedDeliveredIsRefused(kind: String) throws {
        let spool = try Spool()
        let placements = try spool.listen([envelope()])
        let other = try spool.listen([envelope()])[0]
        let (message, segment) = (placements[0].message, placements[0].segment)
        let delivered = JournalEntry.removed(message: message.offset)
        let directory = try spool.spool.directory(.queue)
        let stamp = try SegmentReader.header(of: try spool.file(.incoming, "\(segment)")).0.stamp
        let stranger = try KeyRing(try .random())
        let seal: JournalSeal? =
            switch kind {
            case "plain": nil
            case "sealed with another key": try JournalSeal(stranger.publicKey.id, stranger)
            default: try JournalSeal(spool.fixture.ring.publicKey.id, spool.fixture.ring)
            }
        let name = kind == "of another segment" ? other.segment.journal : segment.journal
        let writer = try JournalWriter(
            creating: name, in: directory, segmentStamp: stamp, seal, clock: SystemClock())
        try writer.append([delivered])
        if kind == "bits flipped" {
            // Entries are the journal's last bytes; those before are an opening and a header.
            try spool.file(.queue, name).flip(at: try spool.file(.queue, name).size() - 12)
        }
        let runner = try spool.runner()
        #expect(runner.collect(rounds: 50) { runner.queue.count == 2 }, "both are there, nothing was delivered")
        #expect(kind == "bits flipped" || runner.quarantined.count + runner.failures.count > 0)
    }

    @Test func withoutTheKeyThereAreCountsSizesAndAges() throws {
        let spool = try Spool()
        _ = try spool.listen([envelope(), envelope()], size: 5000)
        try spool.submit(envelope())
        let seen = try QueueSnapshot(spool.spool.layout, keys: spool.fixture.ring)
        #expect(seen.messages.count == 3 && seen.hidden.isEmpty && seen.problems.isEmpty)
        let blind = try QueueSnapshot(spool.spool.layout)
        #expect(blind.messages.isEmpty && blind.problems.isEmpty)
        #expect(blind.hidden.messages == 3 && blind.hidden.octets > 1000)
        #expect(blind.hidden.keys == [spool.fixture.ring.publicKey.id])
        #expect(try #require(blind.hidden.oldest) <= #require(blind.hidden.newest))
    }

    /// A listener that was not started again with the new configuration has promised its mail all the same.
    @Test func clearMailThatComesLateWaitsForAPerson() throws {
        let spool = try Spool()
        let first = try spool.runner()
        first.queue.close()
        let clock = first.clock
        clock.advance(.seconds(4000))
        let late = try spool.listen([envelope()], .plain)[0].message.id
        let runner = try TestRunner(
            spool.spool, clock: clock, protection: try spool.protection(.runner), keys: spool.fixture.ring)
        for _ in 0..<5 { runner.queue.collect() }
        #expect(runner.queue.count == 0 && runner.quarantined.isEmpty)
        #expect(runner.failures.count == 1 && "\(runner.failures[0])".contains("--accept-clear"))
        #expect(try runner.queue.acceptClear().count == 1)
        #expect(runner.collect { runner.queue.ids == [late] })
        #expect(try runner.queue.acceptClear().isEmpty)
        runner.queue.close()
        let next = try TestRunner(
            spool.spool, clock: clock, protection: try spool.protection(.runner), keys: spool.fixture.ring)
        #expect(next.collect { next.queue.ids == [late] }, "it was taken for good")
    }

    @Test func stretchedSegmentsAreReadByTheSameReaders() throws {
        let spool = try Spool()
        let sealer = try spool.fixture.sealer(.listener, stretching: 100_000)
        let intake = try Intake(
            spool.spool.layout, place: .incoming, protection: Protection(sealer: sealer), syscalls: FaultySyscalls())
        let placements = try [text(10), text(70_000)].map { try intake.store(envelope(), $0) }
        intake.close()
        let runner = try spool.runner()
        #expect(Set(runner.queue.ids) == Set(placements.map(\.message.id)))
        #expect(Set(try runner.deliverAll().map(\.content)) == [text(10), text(70_000)])
    }
}

/// What the host of the disk can do to sealed mail: each is noticed, and costs no other message.
@Suite struct SealedTamperingTests {
    private enum Change: String, CaseIterable {
        case header, envelopeLength, envelopeTag, contentBit, contentTag, commit, commitTag, cut
        case swapped, repeated, reordered, fromElsewhere, wholeFromElsewhere
    }

    @Test(arguments: Change.allCases)
    private func isNoticed(change: Change) throws {
        let spool = try Spool()
        let envelopes = (0..<3).map { _ in envelope() }
        let placements = try spool.listen(envelopes, size: 200_000, .sealed)
        let messages = placements.map(\.message)
        let elsewhere = try spool.listen([envelope()], size: 200_000, .sealed)[0]
        let file = try spool.file(.incoming, "\(placements[0].segment)")
        try apply(change, to: file, messages, other: try spool.file(.incoming, "\(elsewhere.segment)"), elsewhere)
        let runner = try spool.runner()
        let whole = Set(try runner.deliverAllWhole().map(\.id))
        let spared = Set([envelopes[0].id, elsewhere.message.id] + (change == .swapped ? [] : [envelopes[2].id]))
        switch change {
        case .header: #expect(whole == [elsewhere.message.id], "its segment is set aside whole")
        case .cut: #expect(whole.isSuperset(of: [envelopes[0].id, elsewhere.message.id]))
        default: #expect(whole == spared)
        }
        #expect(!whole.contains(envelopes[1].id))
        #expect(!runner.quarantined.isEmpty)
    }

    private func apply(
        _ change: Change, to file: OpenFile, _ messages: [StoredMessage], other: OpenFile, _ elsewhere: Placement
    ) throws {
        let victim = messages[1]
        let record = RecordHeader.length + RecordHeader.contentLimit
        let first = victim.contentOffset
        func bytes(_ from: OpenFile, _ offset: Int64) throws -> [UInt8] { try from.read(record, at: offset) }
        switch change {
        case .header:
            // Both copies, with checksums that fit: bit rot would be told from the other copy.
            var header = try SegmentReader.header(of: file).0
            header.number += 1
            try file.write(header.blocks, at: 0)
        case .envelopeLength: try file.flip(at: victim.offset + 12)
        case .envelopeTag: try file.flip(at: victim.offset + 79)
        case .contentBit: try file.flip(at: first + 1000)
        case .contentTag: try file.flip(at: first + 64)
        case .commit: try file.flip(at: first + Int64(3 * record) + 80 + (200_000 - 3 * 65_536) + 80)
        case .commitTag: try file.flip(at: first + Int64(3 * record) + 80 + (200_000 - 3 * 65_536) + 70)
        case .cut: try file.truncate(to: victim.end - 600)
        case .swapped:
            let (a, b) = (try file.read(Int(victim.end - victim.offset), at: victim.offset), messages[2].offset)
            let c = try file.read(a.count, at: b)
            try file.write(c, at: victim.offset)
            try file.write(a, at: b)
        case .repeated: try file.write(try bytes(file, first), at: first + Int64(record))
        case .reordered:
            let (a, b) = (try bytes(file, first), try bytes(file, first + Int64(record)))
            try file.write(b + a, at: first)
        case .fromElsewhere: try file.write(try bytes(other, elsewhere.message.contentOffset), at: first)
        case .wholeFromElsewhere:
            let whole = try other.read(Int(victim.end - victim.offset), at: elsewhere.message.offset)
            try file.write(whole, at: victim.offset)
        }
    }
}

extension TestRunner {
    /// As `deliverAll`, for a queue in which some can't be delivered.
    func deliverAllWhole() throws -> [(id: QueueID, content: [UInt8])] {
        var result: [(QueueID, [UInt8])] = []
        queue.collect()
        for id in queue.takeDue(limit: 1000) {
            guard let message = try? queue.open(id) else { continue }
            guard let content = try? message.content().all() else {
                queue.setAside(id)
                continue
            }
            result.append((id, content))
            try queue.record(id, message.outstanding.map { outcome($0.number, .delivered) })
            try queue.finish(id)
        }
        return result
    }
}
