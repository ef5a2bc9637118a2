// Drops from anybody: in any number, under any name, going away or changing while they are looked at.

import Glibc
import MailModel
import SystemPackage
import Testing

@testable import QueueKit

@Suite struct RecoveryDropTests {
    @Test func incompleteFilesOfOneUserHoldUpNobody() throws {
        let spool = try TemporarySpool()
        for number in 0..<700 {
            let file = creat("\(spool.layout.path(.offline))/0\(1000 + number).drop", 0o440)
            let now = timespec(tv_sec: 1_800_000_000, tv_nsec: 0)
            futimens(file, [now, now])
            close(file)
        }
        let good = envelope()
        try submit(spool, good)
        let runner = try TestRunner(spool)
        #expect(runner.collect(rounds: 100) { runner.queue.ids == [good.id] && !runner.queue.isCollecting })
    }

    @Test func aDropThatCannotBeMovedHoldsUpNobody() throws {
        let spool = try TemporarySpool()
        mkdir("\(spool.layout.path(.offline))/0", 0o700)
        // As the kernel says for another user's directory.
        let calls = FaultySyscalls(.when { if case .rename(_, "0", _, _) = $0 { .permissionDenied } else { nil } })
        let good = envelope()
        try submit(spool, good)
        let runner = try TestRunner(spool, calls)
        #expect(runner.collect(rounds: 20) { runner.queue.ids == [good.id] })
        let before = runner.failures.count
        for _ in 0..<50 { runner.queue.collect() }
        #expect(runner.failures.count == before, "told once for a pause")
        #expect(try spool.names(.quarantine).isEmpty, "no reasons without files")
    }

    @Test func manyDropsAreTakenAFewAtATime() throws {
        let spool = try TemporarySpool()
        var sent: Set<QueueID> = []
        for _ in 0..<300 {
            let envelope = envelope()
            sent.insert(envelope.id)
            try submit(spool, envelope, text(20))
        }
        let runner = try TestRunner(spool)
        var most = 0
        runner.collect {
            most = max(most, runner.queue.drops.count)
            return runner.queue.count == 300
        }
        #expect(most <= Queue.dropsUnderWay)
        #expect(Set(runner.queue.ids) == sent)
        #expect(try spool.names(.offline).isEmpty)
    }

    /// The copy of a drop that can't be removed is not tried: it would be copied and delivered again and again.
    @Test func aDropThatStaysIsDeliveredOnce() throws {
        let spool = try TemporarySpool()
        let message = envelope()
        try submit(spool, message)
        let calls = FaultySyscalls(
            .when { if case .unlink(_, let path) = $0, path.hasSuffix(".drop") { .ioError } else { nil } })
        let runner = try TestRunner(spool, calls)
        runner.collect(rounds: 300) { runner.failures.count > 2 }
        #expect(runner.queue.takeDue(limit: 10).isEmpty)
        #expect(try spool.names(.offline).count == 1)
        calls.heal()
        #expect(runner.collect { runner.queue.count == 1 })
        #expect(try runner.deliverAll().map(\.id) == [message.id])
        runner.collect(rounds: 10) { false }
        #expect(runner.queue.count == 0 && runner.quarantined.isEmpty)
    }

    @Test func aCrashLeavesDropAndCopyAndTheDropGoesFirst() throws {
        let spool = try TemporarySpool()
        let message = envelope()
        try submit(spool, message)
        let calls = FaultySyscalls(
            .when { if case .unlink(_, let path) = $0, path.hasSuffix(".drop") { .ioError } else { nil } })
        do {
            let runner = try TestRunner(spool, calls)
            runner.collect(rounds: 300) { !runner.failures.isEmpty }
            runner.queue.close()
        }
        let runner = try TestRunner(spool, calls)
        #expect(runner.queue.takeDue(limit: 10).isEmpty, "known as a leftover before anything is tried")
        calls.heal()
        #expect(runner.collect { runner.queue.count == 1 })
        #expect(try runner.deliverAll().count == 1)
        #expect(try spool.names(.offline).isEmpty)
    }

    /// A drop may be well formed and still not be what our writers write.
    @Test(arguments: ["large record", "wrong length", "wrong content"])
    func forgedDrops(kind: String) throws {
        let spool = try TemporarySpool()
        let header = SegmentHeader(
            flags: .single, role: .submitter, created: Timestamp(milliseconds: 1), run: .random(16), number: 0)
        let start = try SegmentStart(header, try TestProtection.of(.submitter))
        let encoder = start.encoder
        var out = start.header.blocks
        try encoder.begin(at: 1024)
        try encoder.envelope(StoredEnvelope(envelope()).bytes, to: &out)
        let content = text(kind == "large record" ? 100_000 : 1000)
        try content.lending { try encoder.content($0, to: &out) }
        let length = Int64(kind == "wrong length" ? 999 : content.count)
        try encoder.commit(CommitRecord(contentLength: length, durableOffset: 1024), to: &out)
        if kind == "wrong content" { out[1024 + 400] ^= 1 }
        let path = "\(spool.layout.path(.offline))/a.drop"
        let file = creat(path, 0o440)
        _ = out.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        futimens(file, [timespec(tv_sec: 1_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000, tv_nsec: 0)])
        close(file)
        let runner = try TestRunner(spool)
        #expect(runner.collect(rounds: 20) { (try? spool.names(.offline)) == [] })
        #expect(runner.quarantined.count == 1 && runner.queue.count == 0 && runner.failures.isEmpty)
    }

    @Test func whatADropSaysOfItselfIsNotBelieved() throws {
        let spool = try TemporarySpool()
        var forged = envelope()
        forged.arrival = Timestamp(milliseconds: .max)
        forged.envelopeID = "x\r\nBcc: everybody@example.org"
        forged.recipients[0].action = "relay to wherever"
        forged.recipients[0].originalRecipient = String(repeating: "x", count: 501)
        try submit(spool, forged)
        let runner = try TestRunner(spool)
        #expect(runner.collect { runner.queue.count == 1 })
        let message = try runner.queue.open(runner.queue.takeDue(limit: 1)[0])
        #expect(message.envelope.arrival <= runner.clock.now())
        #expect(
            message.envelope.envelopeID == nil && message.envelope.recipients == [Recipient(mailbox("bob@example.org"))]
        )
    }

    @Test func namesTooLongForTheQuarantine() throws {
        let spool = try TemporarySpool()
        let name = String(repeating: "é", count: 120)
        symlink("/etc/passwd", "\(spool.layout.path(.offline))/\(name)")
        let runner = try TestRunner(spool)
        #expect(runner.collect(rounds: 20) { (try? spool.names(.offline)) == [] })
        #expect(try spool.names(.quarantine).count == 2)
    }

    /// What no reader would take must not be acknowledged.
    @Test(arguments: [0, 200_000])
    func envelopesThatCannotBeStored(recipients: Int) throws {
        let spool = try TemporarySpool()
        var large = envelope()
        let one = large.recipients[0]
        large.recipients = Array(repeating: one, count: recipients)
        let error = #expect(throws: QueueError.self) { try submit(spool, large) }
        #expect(error?.kind == .refused && error?.exitStatus == 65)
        #expect(try spool.names(.offline).isEmpty)
        let intake = try listenerIntake(spool.layout)
        for size in [100, 300_000] {
            let error = #expect(throws: QueueError.self) { _ = try intake.store(large, text(size)) }
            #expect(error?.kind == .refused)
        }
        intake.close()
        #expect(try spool.names(.incoming).isEmpty)
        #expect(intake.gathered.access { $0 } == 0)
    }

    /// Whoever knows what a DSN will be about could keep it from being sent.
    @Test func aDropUnderTheNameOfADSNSuppressesNothing() throws {
        let spool = try TemporarySpool()
        var notice = envelope()
        notice.id = QueueID.derived(from: notice.id, recipients: [0], cause: "expired")
        try submit(spool, notice)
        let runner = try TestRunner(spool)
        #expect(runner.collect { runner.queue.count == 1 })
        notice.origin = .notification(about: envelope().id)
        let done = Monitor<Bool?>(nil)
        runner.queue.submit(notice, content: text(10)) { error in done.update { $0 = error == nil } }
        #expect(done.wait(limit: 5000) { $0 } == true)
        #expect(runner.collect { runner.queue.count == 2 })
    }
}
