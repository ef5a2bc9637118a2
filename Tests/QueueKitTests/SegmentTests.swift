import Glibc
import MailModel
import Testing

@testable import QueueKit

@Suite struct SegmentTests {
    @Test func headerReadsBackFromEitherBlock() {
        let header = SegmentHeader(
            flags: .single, role: .submitter, created: Timestamp(milliseconds: 5), run: .random(16), number: 7)
        var blocks = header.blocks
        #expect(blocks.count == 1024)
        #expect(SegmentHeader.read(blocks) == header)
        blocks[20] ^= 1
        #expect(SegmentHeader.read(blocks) == header, "the second block serves when the first is broken")
        blocks[512 + 20] ^= 1
        #expect(SegmentHeader.read(blocks) == nil)
    }

    @Test func envelopeReadsBack() throws {
        var full = envelope(to: ["a@b.example", "\"odd local\"@[192.0.2.1]", "ü@ü.example"])
        full.recipients[0].originalRecipient = "rfc822;x@y"
        full.recipients[0].notify = [.success, .delay]
        full.recipients[1].action = "out"
        full.origin = .session(
            SessionOrigin(clientAddress: "::1", clientPort: 9, helo: "me", tag: "t", user: "u", tls: true))
        full.body = .eightBitMIME
        full.smtpUTF8 = true
        full.returnContent = .full
        full.envelopeID = "id"
        full.held = true
        let stored = StoredEnvelope(full, generation: 3, dropStamp: 99)
        #expect(StoredEnvelope(stored.bytes) == stored)
        for cut in 0..<stored.bytes.count {
            // A shorter one may still be an envelope (fields at its end are optional), but never this one.
            #expect(StoredEnvelope(Array(stored.bytes.prefix(cut))) != stored)
        }
    }

    @Test(arguments: [0, 1, 511, 512, 65_535, 65_536, 65_537, 200_000, 300_000, 1_500_000])
    func contentComesBack(size: Int) throws {
        let spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout, syscalls: LibC())
        let content = text(size)
        let placement = try intake.store(envelope(), content)
        intake.close()
        let file = try #require(try intake.store.open(placement.segment))
        let reader = try SegmentReader(file)
        let scan = try reader.scan(from: SegmentHeader.firstRecord, limit: try file.size(), verifyingContent: true)
        #expect(scan.messages == [placement.message])
        #expect(scan.damage.isEmpty)
        #expect(try reader.content(of: placement.message).all() == content)
    }

    @Test func manyMessagesShareASegment() throws {
        let spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout, syscalls: LibC())
        let placements = try (0..<50).map { try intake.store(envelope(), text($0 * 40)) }
        intake.close()
        #expect(Set(placements.map(\.segment)).count == 1)
        #expect(try spool.names(.incoming).count == 1)
        let file = try #require(try intake.store.open(placements[0].segment))
        let reader = try SegmentReader(file)
        let scan = try reader.scan(from: SegmentHeader.firstRecord, limit: try file.size(), verifyingContent: true)
        #expect(scan.messages == placements.map(\.message))
        #expect(reader.hint == scan.end)
        #expect(try file.status().st_mode & 0o777 == 0o640)
    }

    /// A segment of three messages; one byte is changed; says which messages are left and which are damage.
    @Test(arguments: [(0, true), (1, true), (2, true), (2, false)])
    func brokenMessage(index: Int, hinted: Bool) throws {
        let spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout, syscalls: LibC())
        let placements = try (0..<3).map { _ in try intake.store(envelope(), text(5000)) }
        intake.close()
        let directory = try spool.directory(.incoming)
        let file = try directory.open(placements[0].segment.description, flags: O_RDWR)
        let at = placements[index].message.contentOffset + 90
        try file.flip(at: at)
        if !hinted { try file.write(SegmentHeader.hint(placements[1].message.end), at: 448) }
        let scan = try SegmentReader(file).scan(
            from: SegmentHeader.firstRecord, limit: try file.size(), verifyingContent: true)
        #expect(scan.messages == placements.enumerated().filter { $0.offset != index }.map(\.element.message))
        // Above every offset known durable a broken message is a torn tail: it was never acknowledged.
        #expect(scan.damage.map(\.id) == (hinted || index < 2 ? [placements[index].message.id] : []))
        #expect(throws: QueueError.self) {
            try SegmentReader(file).content(of: placements[index].message).all()
        }
    }

    @Test func staleBlocksNeverPassForMail() throws {
        let spool = try TemporarySpool()
        let store = DirectorySegmentStore(try spool.directory(.queue), .queue, clock: SystemClock())
        try store.prepareSpare()
        let first = try store.create(.runner, number: 0)
        var bytes: [UInt8] = []
        try first.encoder.append(
            envelope: StoredEnvelope(envelope()).bytes, content: text(100), at: 1024, durable: 1024, to: &bytes)
        try first.append(bytes)
        try first.commit()
        #expect(try store.open(first.name)?.size() == Spares.segmentSize)
        // The old writer still holds the lock: the spare is left alone, and a new file is made.
        try store.directory.rename(first.name.description, to: store.directory, "spare.1")
        let other = try store.create(.runner, number: 1)
        #expect(try spool.names(.queue).count == 2)
        try other.close()
        try spool.directory(.queue).rename("spare.1", to: store.directory, first.name.description)
        let name = first.name
        _ = consume first
        try store.retire(name)
        #expect(try spool.names(.queue).filter { $0.hasPrefix("spare.") }.count == 1)
        let again = try store.create(.runner, number: 2)
        let file = try #require(try store.open(again.name))
        let scan = try SegmentReader(file, in: .queue).scan(
            from: 1024, limit: try file.size(), verifyingContent: true)
        #expect(scan.messages.isEmpty && scan.damage.isEmpty)
    }

    @Test func dropIsCompleteOrAbsent() throws {
        let spool = try TemporarySpool()
        let mask = umask(0o077)
        defer { umask(mask) }
        let aborted = try OfflineDrop(spool.layout, envelope(), protection: try TestProtection.of(.submitter))
        try aborted.append(text(100_000))
        aborted.abort()
        #expect(try spool.names(.offline).isEmpty)
        let drop = try OfflineDrop(spool.layout, envelope(), protection: try TestProtection.of(.submitter))
        try drop.append(text(100_000))
        #expect(try spool.names(.offline).isEmpty, "nothing half-done is visible")
        try drop.commit()
        let name = try #require(try spool.names(.offline).first)
        let file = try spool.directory(.offline).open(name, flags: O_RDONLY)
        #expect(try file.status().st_mode & 0o7777 == 0o440)
        let reader = try SegmentReader(file, in: .offline)
        let scan = try reader.scan(from: 1024, limit: try file.size(), verifyingContent: true)
        #expect(try reader.content(of: try #require(scan.messages.first)).all() == text(100_000))
    }

    @Test func abandonedMessagesLeaveNothing() throws {
        let spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout, syscalls: LibC())
        for size in [100, 1_000_000] {
            let message = intake.begin(envelope())
            _ = message.append(text(size))
            message.abort()
        }
        intake.close()
        #expect(try spool.names(.incoming).isEmpty)
        #expect(intake.gathered.access { $0 } == 0)
    }

    @Test(arguments: [
        ("not a spool at all\n", QueueError.Kind.corrupt),
        ("pouch-spool 2\nid 0\n", .newerFormat),
        ("pouch-spool 1\nid 0\nsalt 0\ncreated 1\ncheck 0\n", .corrupt),
    ])
    func metaIsChecked(text: String, kind: QueueError.Kind) throws {
        let spool = try TemporarySpool()
        let error = #expect(throws: QueueError.self) { _ = try SpoolMeta.parse(Array(text.utf8), spool.layout) }
        #expect(error?.kind == kind)
    }
}
