import Glibc
import MailModel
import Testing

@testable import QueueKit

/// A runner's queue over a temporary spool, driven by hand.
private final class Runner {
    let spool: TemporarySpool
    let clock: FixedClock
    let reports = Monitor<[String]>([])
    private let woken = Monitor(false)
    var queue: Queue

    init(_ spool: TemporarySpool, clock: FixedClock = FixedClock()) throws {
        (self.spool, self.clock) = (spool, clock)
        var options = QueueOptions(
            schedule: RetrySchedule(pauses: [.seconds(60), .seconds(600)], ttl: .seconds(86400)), sizeLimit: 10 << 20)
        options.clock = clock
        try options.protect()
        queue = try Queue(
            spool.layout, options, report: { [reports] report in reports.update { $0.append("\(report)") } },
            wake: { [woken] in woken.update { $0 = true } })
    }

    /// Collects until `condition` holds.
    func collect(until condition: () -> Bool) throws {
        for _ in 0..<400 {
            queue.collect()
            if condition() { return }
            _ = woken.wait(limit: 25) { woken in
                defer { woken = false }
                return woken ? true : nil
            }
        }
        Issue.record("nothing came of it: \(reports.access { $0 })")
    }

    func settle() throws {
        let done = Monitor(false)
        queue.whenDurable { _ in done.update { $0 = true } }
        _ = done.wait(limit: 5000) { $0 ? true : nil }
        queue.collect()
    }

    /// Tries all that is due, every recipient with the same end.
    func tryAll(_ status: DeliveryStatus, reply: String = "250 Ok") throws -> [QueueID] {
        let ids = queue.takeDue(limit: 100)
        for id in ids {
            let message = try queue.open(id)
            let result: AttemptResult = status == .delivered ? .ok : .temporaryFailure
            let attempt = Attempt(
                time: clock.now(), result: result, status: EnhancedStatusCode(status == .delivered ? 2 : 4, 0, 0),
                reply: reply)
            try queue.record(
                id, message.outstanding.map { RecipientOutcome(number: $0.number, attempt: attempt, status: status) })
            try queue.finish(id)
        }
        return ids
    }
}

@Suite struct QueueTests {
    private func drop(_ spool: TemporarySpool, _ envelope: Envelope, size: Int = 1000) throws {
        let drop = try OfflineDrop(spool.layout, envelope, protection: try TestProtection.of(.submitter))
        try drop.append(text(size))
        try drop.commit()
    }

    @Test func dropsAreCopiedDeliveredAndGone() throws {
        let spool = try TemporarySpool()
        try drop(spool, envelope(), size: 1000)
        try drop(spool, envelope(to: ["a@b.example", "c@d.example"]), size: 400_000)
        let runner = try Runner(spool)
        try runner.collect { runner.queue.count == 2 }
        try runner.collect { (try? spool.names(.offline)) == [] }
        #expect(try runner.tryAll(.delivered).count == 2)
        #expect(runner.queue.count == 0)
        // The single message's segment is closed and goes; the shared one is still open for more.
        try runner.collect { (try? spool.names(.queue).filter { $0.hasSuffix(".seg") }.count) == 1 }
        runner.queue.close()
        let again = try Runner(spool)
        try again.collect { (try? spool.names(.queue)) == [] }
        #expect(again.queue.count == 0)
    }

    @Test func submitterIsTheOwnerOfTheFile() throws {
        let spool = try TemporarySpool()
        var forged = envelope()
        forged.origin = .submission(uid: 4_000_000)
        try drop(spool, forged)
        let runner = try Runner(spool)
        try runner.collect { runner.queue.count == 1 }
        let id = try #require(runner.queue.takeDue(limit: 1).first)
        #expect(try runner.queue.open(id).envelope.origin == .submission(uid: geteuid()))
    }

    @Test func listenersMessagesAreSeenWhileItRuns() throws {
        let spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout, syscalls: LibC())
        let runner = try Runner(spool)
        let first = envelope()
        _ = try intake.store(first, text(100))
        try runner.collect { runner.queue.count == 1 }
        _ = try intake.store(envelope(), text(100))
        try runner.collect { runner.queue.count == 2 }
        #expect(try runner.tryAll(.delivered).count == 2)
        intake.close()
        try runner.collect { (try? spool.names(.incoming)) == [] }
        try runner.collect { (try? spool.names(.queue)) == [] }
    }

    @Test func stateSurvivesARestart() throws {
        let spool = try TemporarySpool()
        let clock = FixedClock()
        let intake = try listenerIntake(spool.layout, syscalls: LibC())
        let message = envelope(to: ["a@b.example", "c@d.example", "e@f.example"])
        _ = try intake.store(message, text(100))
        intake.close()
        do {
            let runner = try Runner(spool, clock: clock)
            let id = try #require(runner.queue.takeDue(limit: 1).first)
            #expect(id == message.id)
            _ = try runner.queue.open(id)
            let expanded = try runner.queue.expand(
                id, recipient: 1, into: [Recipient(mailbox("x@y.example")), Recipient(mailbox("z@y.example"))])
            #expect(expanded == 3..<5)
            let ok = Attempt(time: clock.now(), result: .ok, status: EnhancedStatusCode(2, 0, 0), reply: "250 Ok")
            try runner.queue.record(id, [RecipientOutcome(number: 0, attempt: ok, status: .delivered)])
            try runner.queue.record(id, [RecipientOutcome(number: 3, attempt: ok, status: .delivered)])
            let next = try #require(try runner.queue.finish(id))
            #expect((60_000...66_000).contains(next.since(clock.now()).milliseconds))
            try runner.settle()
            let seen = try #require(
                QueueSnapshot(spool.layout, prefix: "\(id)", keys: TestProtection.keys).messages.first)
            #expect(seen.state == .deferred && seen.nextAttempt == next && seen.lastAttempt == ok)
            #expect(seen.recipients.map(\.status) == [.delivered, .expanded, .pending, .delivered, .pending])
            runner.queue.close()
        }
        let runner = try Runner(spool, clock: clock)
        #expect(runner.queue.count == 1)
        #expect(runner.queue.takeDue(limit: 1).isEmpty, "not before its time")
        clock.advance(.seconds(70))
        let id = try #require(runner.queue.takeDue(limit: 1).first)
        let due = try runner.queue.open(id)
        #expect(due.outstanding.map(\.number) == [2, 4])
        #expect(due.outstanding.last?.recipient.forwardPath == mailbox("z@y.example"))
        #expect(due.attempts == 1)
        #expect(try due.content().all() == text(100))
    }

    @Test func closedSegmentsAreNotScannedAgain() throws {
        let spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout, syscalls: LibC())
        let placement = try intake.store(envelope(), text(100))
        intake.close()
        try Runner(spool).queue.close()
        // With the index in the journal, a start does not look at the records.
        let file = try spool.directory(.incoming).open(placement.segment.description, flags: O_RDWR)
        try file.write([UInt8](repeating: 0, count: 64), at: placement.message.offset)
        let runner = try Runner(spool)
        #expect(runner.queue.count == 1)
        let id = try #require(runner.queue.takeDue(limit: 1).first)
        let error = #expect(throws: QueueError.self) { _ = try runner.queue.open(id) }
        #expect(error?.kind == .corrupt)
        #expect(runner.queue.count == 0)
        #expect(try spool.names(.quarantine).count == 2, "the bytes and the reason")
    }

    @Test func holdReleaseFlushRemove() throws {
        let spool = try TemporarySpool()
        let clock = FixedClock()
        for _ in 0..<3 { try drop(spool, envelope()) }
        let runner = try Runner(spool, clock: clock)
        try runner.collect { runner.queue.count == 3 }
        let ids = runner.queue.ids.sorted()
        #expect(try runner.queue.hold(ids[0], reason: "looked at"))
        #expect(try !runner.queue.hold(ids[0], reason: "again"))
        #expect(Set(try runner.tryAll(.deferred, reply: "450 later")) == Set(ids[1...]))
        #expect(try runner.tryAll(.deferred).isEmpty)
        #expect(try runner.queue.flush(ids[1]))
        #expect(try runner.tryAll(.deferred) == [ids[1]])
        try runner.queue.remove(ids[2])
        #expect(try runner.queue.release(ids[0]))
        #expect(try runner.tryAll(.delivered) == [ids[0]])
        #expect(runner.queue.ids == [ids[1]])
        #expect(try runner.queue.resolve(String("\(ids[1])".prefix(19))) == ids[1])
        #expect(throws: QueueError.self) { try runner.queue.resolve("zzz") }
        try runner.settle()
        runner.queue.close()
        #expect(try Runner(spool, clock: clock).queue.ids == [ids[1]])
    }

    @Test(arguments: [QueueOrder.Verb.flush, .release]) func anOrderOutlivesItsRunner(verb: QueueOrder.Verb) throws {
        let spool = try TemporarySpool()
        let clock = FixedClock()
        try drop(spool, envelope())
        let first = try Runner(spool, clock: clock)
        try first.collect { first.queue.count == 1 }
        let ids = try first.tryAll(.deferred, reply: "450 later")
        try first.settle()
        first.queue.close()
        let second = try Runner(spool, clock: clock)
        #expect(second.queue.takeDue(limit: 1).isEmpty)
        if verb == .flush {
            #expect(try second.queue.flush(ids[0]))
        } else {
            #expect(try second.queue.hold(ids[0], reason: "to be read"))
            #expect(try second.queue.release(ids[0]))
        }
        second.queue.close()
        let third = try Runner(spool, clock: clock)
        #expect(third.queue.takeDue(limit: 1) == ids)
        third.queue.close()
    }

    @Test func oneRunnerAtATime() throws {
        let spool = try TemporarySpool()
        let runner = try Runner(spool)
        let error = #expect(throws: QueueError.self) { _ = try Runner(spool) }
        #expect(error?.kind == .locked)
        #expect(error?.exitStatus == 75)
        runner.queue.close()
    }

    /// What lies in offline/ that is no drop; says what becomes of it.
    @Test(arguments: ["symlink", "hardlink", "fifo", "directory", "text", "oversize"])
    func hostileDrops(kind: String) throws {
        let spool = try TemporarySpool()
        let path = "\(spool.layout.path(.offline))/evil.drop"
        let outside = "\(spool.layout.path(.quarantine))/../secret"
        close(creat(outside, 0o600))
        switch kind {
        case "symlink": symlink(outside, path)
        case "hardlink": link(outside, path)
        case "fifo": mkfifo(path, 0o600)
        case "directory": mkdir(path, 0o700)
        case "oversize":
            let file = creat(path, 0o600)
            ftruncate(file, 1 << 30)
            close(file)
        default:
            let file = creat(path, 0o600)
            write(file, "hello", 5)
            futimens(file, [timespec(tv_sec: 1_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000, tv_nsec: 0)])
            close(file)
        }
        let good = envelope()
        try drop(spool, good)
        let runner = try Runner(spool)
        try runner.collect { runner.queue.count == 1 }
        try runner.collect { (try? spool.names(.offline)) == [] }
        #expect(runner.queue.ids == [good.id])
        #expect(try spool.names(.quarantine).count == 2)
    }

    @Test func leftoverDropOfACrashIsNotDeliveredTwice() throws {
        let spool = try TemporarySpool()
        let message = envelope()
        try drop(spool, message)
        let name = try #require(try spool.names(.offline).first)
        let path = "\(spool.layout.path(.offline))/\(name)"
        let saved = try spool.directory(.offline).open(name, flags: O_RDONLY)
        let bytes = try saved.read(Int(try saved.size()), at: 0)
        let runner = try Runner(spool)
        try runner.collect { runner.queue.count == 1 }
        try runner.collect { (try? spool.names(.offline)) == [] }
        // As if the unlink had not reached the disk.
        let back = creat(path, 0o440)
        _ = bytes.withUnsafeBytes { write(back, $0.baseAddress, $0.count) }
        close(back)
        try runner.collect { (try? spool.names(.offline)) == [] }
        #expect(runner.queue.ids == [message.id])
        #expect(try spool.names(.quarantine).isEmpty)
        let snapshot = try QueueSnapshot(spool.layout, keys: TestProtection.keys)
        #expect(snapshot.messages.map(\.id) == [message.id] && snapshot.problems.isEmpty)
        #expect(try snapshot.content(of: message.id)?.all() == text(1000))
        // Another drop that claims the same name is nobody's mail.
        try drop(spool, message, size: 7)
        try runner.collect { (try? spool.names(.offline)) == [] }
        #expect(try spool.names(.quarantine).count == 2)
    }

    @Test func notificationIsStoredOnce() throws {
        let spool = try TemporarySpool()
        let runner = try Runner(spool)
        var notice = envelope()
        notice.id = QueueID.derived(from: notice.id, recipients: [0], cause: "expired")
        for _ in 0..<2 {
            let done = Monitor(false)
            runner.queue.submit(notice, content: text(10)) { error in
                #expect(error == nil)
                done.update { $0 = true }
            }
            _ = done.wait(limit: 5000) { $0 ? true : nil }
            try runner.collect { runner.queue.count == 1 }
        }
        #expect(runner.queue.ids == [notice.id])
    }

    @Test(arguments: [Duration.seconds(86400 * 5), .seconds(-86400 * 5)])
    func aStepOfTheWallClockNeitherHurriesNorDelays(step: Duration) throws {
        let spool = try TemporarySpool()
        let clock = FixedClock()
        try drop(spool, envelope())
        let runner = try Runner(spool, clock: clock)
        try runner.collect { runner.queue.count == 1 }
        #expect(try runner.tryAll(.deferred, reply: "450 later").count == 1)
        clock.stepWall(step)
        #expect(runner.queue.takeDue(limit: 1).isEmpty)
        clock.advance(.seconds(67))
        #expect(runner.queue.takeDue(limit: 1).count == 1)
    }
}

@Suite struct JournalTests {
    private let attempt = Attempt(
        time: Timestamp(milliseconds: 12), result: .temporaryFailure, status: EnhancedStatusCode(4, 7, 1),
        reply: "450 4.7.1 später", relay: "mx.example/192.0.2.1", source: "192.0.2.9")

    @Test func entriesReadBackAndATornTailIsCut() throws {
        let row = IndexRow(
            StoredMessage(
                offset: 1024, contentOffset: 1100, end: 4096, contentLength: 9, stored: StoredEnvelope(envelope())))
        let entries: [JournalEntry] = [
            .index([row, row]), .attempt(message: 1024, recipient: 3, attempt, .deferred),
            .scheduled(message: 1024, Timestamp(milliseconds: 99)),
            .expanded(message: 1024, recipient: 0, into: [Recipient(mailbox("a@b.example"))]),
            .held(message: 1024, reason: "why"), .released(message: 1024), .removed(message: 1024),
            .quarantined(message: 1024), .warned(message: 1024, count: 2),
        ]
        let header = JournalFormat.Header(segmentStamp: 5, created: Timestamp(milliseconds: 1))
        let first = JournalFormat.frame(entries, number: 0, id: header.id)
        let whole = header.bytes + first + JournalFormat.frame([entries[1]], number: 1, id: header.id)
        #expect(try JournalFormat.read(whole)?.entries == entries + [entries[1]])
        for cut in stride(from: whole.count - 9, to: header.bytes.count + first.count, by: -1) {
            let contents = try #require(
                try JournalFormat.read(Array(whole.prefix(cut)) + [UInt8](repeating: 0, count: 64)))
            #expect(contents.entries == entries)
            #expect(contents.end == Int64(header.bytes.count + first.count))
        }
    }

    @Test func aFrameOfAnotherJournalIsNotTaken() throws {
        let header = JournalFormat.Header(segmentStamp: 5, created: Timestamp(milliseconds: 1))
        let other = JournalFormat.Header(segmentStamp: 5, created: Timestamp(milliseconds: 1))
        let frame = JournalFormat.frame([.removed(message: 1)], number: 0, id: other.id)
        #expect(try JournalFormat.read(header.bytes + frame)?.entries == [])
        let late = JournalFormat.frame([.removed(message: 1)], number: 1, id: header.id)
        #expect(try JournalFormat.read(header.bytes + late)?.entries == [], "frames are counted")
    }

    @Test func entriesAddUp() {
        var state = MessageState(recipientCount: 2, held: true)
        let entries: [JournalEntry] = [
            .released(message: 0), .expanded(message: 0, recipient: 1, into: [Recipient(mailbox("a@b.example"))]),
            .attempt(message: 0, recipient: 0, attempt, .deferred),
            .attempt(message: 0, recipient: 2, attempt, .delivered),
            .attempt(message: 0, recipient: 77, attempt, .delivered), .held(message: 0, reason: "x"),
            .warned(message: 0, count: 1),
        ]
        for entry in entries { state.apply(entry) }
        #expect(state.statuses == [.deferred, .expanded, .delivered])
        #expect(!state.isFinal && state.held == "x" && state.attemptCount == 1)
    }

    @Test(arguments: [(1, 60), (2, 300), (3, 900), (9, 900), (0, 60)])
    func pauses(attempts: Int, seconds: Int) {
        let schedule = RetrySchedule(pauses: [.seconds(60), .seconds(300), .seconds(900)], ttl: .seconds(1))
        #expect(schedule.pause(afterAttempts: attempts, jitter: 0) == .seconds(seconds))
        #expect(schedule.pause(afterAttempts: attempts, jitter: 1) <= .seconds(seconds) * 1.11)
    }
}
