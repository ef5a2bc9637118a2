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
}
