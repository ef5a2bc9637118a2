// What others may do to files while the runner works: segments exchanged under it, drops that cost more than they weigh.

import Glibc
import MailModel
import SystemPackage
import Testing

@testable import QueueKit

@Suite struct ReviewHostileTests {
    /// A segment that is put in another's place while the runner works is judged as any that is found: no message is
    /// tried from it in the place of another.
    @Test func aSegmentInThePlaceOfAnotherIsNotReadAsThat() throws {
        let spool = try TemporarySpool()
        let envelopes = [envelope(), envelope()]
        var names: [SegmentName] = []
        for envelope in envelopes {
            let intake = try listenerIntake(spool.layout)
            names.append(try intake.store(envelope, text(700)).segment)
            intake.close()
        }
        let runner = try TestRunner(spool)
        #expect(runner.queue.count == 2)
        let incoming = try spool.directory(.incoming)
        let other = try incoming.open("\(names[1])", flags: O_RDONLY)
        let bytes = try other.read(Int(try other.size()), at: 0)
        let new = try incoming.open("x", flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o640)
        try new.write(bytes, at: 0)
        try incoming.replace("\(names[0])", with: "x")
        var opened: [QueueID] = []
        for id in runner.queue.takeDue(limit: 9) {
            do throws(QueueError) {
                opened.append(try runner.queue.open(id).envelope.id)
                try runner.queue.record(id, [runner.outcome(0, .delivered)])
                try runner.queue.finish(id)
            } catch {
                #expect(error.kind == .missing)
            }
        }
        #expect(opened == [envelopes[1].id], "once")
        runner.settle()
        // In a plain queue nothing tells the copy of a freed segment from new mail.
        if runner.queue.ledger != nil {
            #expect(runner.collect(rounds: 20) { runner.quarantined.count > 0 })
            #expect(runner.queue.count == 0)
        }
    }

    /// Its commit record says how large it is: nothing of its content is looked at, which may be small and inflate.
    @Test func aDropThatIsTooLargeIsRefusedUnread() throws {
        let spool = try TemporarySpool()
        try submit(spool, envelope(), text(300_000))
        let name = try #require(try spool.names(.offline).first)
        let directory = try spool.directory(.offline)
        chmod("\(spool.layout.path(.offline))/\(name)", 0o640)
        try directory.open(name, flags: O_RDWR).flip(at: 5000)
        let pickup = OfflinePickup(
            directory: directory, clock: SystemClock(), sizeLimit: 200_000, keys: TestProtection.keys)
        guard case .refuse(let reason) = try pickup.examine(name) else {
            Issue.record("not refused")
            return
        }
        #expect(reason.contains("octets"))
    }

    /// A reader that knows how much there may be inflates no more.
    @Test func contentIsReadUpToItsBound() throws {
        let spool = try TemporarySpool()
        let intake = try listenerIntake(spool.layout)
        let placed = try intake.store(envelope(), text(200_000))
        intake.close()
        let file = try spool.directory(.incoming).open("\(placed.segment)", flags: O_RDONLY)
        let reader = try SegmentReader(file)
        for (bound, isWhole) in [(Int64(200_000), true), (199_999, false), (70_000, false), (0, false)] {
            let scan = try reader.scan(
                from: SegmentHeader.firstRecord, limit: try file.size(), verifyingContent: true, contentLimit: bound)
            #expect(!scan.messages.isEmpty == isWhole, "\(bound)")
        }
    }

    /// Anybody can put many megabytes there that are no drop yet.
    @Test func anIncompleteDropIsNotReadAtEachLook() throws {
        let spool = try TemporarySpool()
        try submit(spool, envelope(), text(300_000))
        let name = try #require(try spool.names(.offline).first)
        let path = "\(spool.layout.path(.offline))/\(name)"
        chmod(path, 0o640)
        truncate(path, Int(try spool.directory(.offline).open(name, flags: O_RDONLY).size()) / 2)
        let calls = FaultySyscalls()
        let runner = try TestRunner(spool, calls)
        let now = timespec(tv_sec: Int(runner.clock.now().seconds), tv_nsec: 0)
        utimensat(AT_FDCWD, path, [now, now], 0)
        runner.queue.collect()
        let before = calls.count(.pread)
        for _ in 0..<20 { runner.queue.collect() }
        #expect(calls.count(.pread) == before)
        runner.clock.advance(.seconds(2))
        runner.queue.collect()
        #expect(calls.count(.pread) > before, "after a pause")
        #expect(runner.quarantined.isEmpty)
    }
}
