// Owns: what `mail-queue check --fix` does before it looks: places of the spool, and a start of the runner in nobody's
// place. Refuses: deciding about mail; what a start does not do by itself a person must.

import CommandKit
import Glibc
import QueueKit

struct CheckFix {
    let spool: Spool
    let owners: SpoolOwners
    let acceptsClear: Bool

    /// - Returns: what was done, a line each.
    func run() throws -> [String] { try mendPlaces() + recover() }

    /// As `mail-queue init --fix`.
    private func mendPlaces() throws(CommandFailure) -> [String] {
        var done: [String] = []
        let faults = try queueCall { () throws(QueueError) in try spool.layout.faults(owners: owners) }
        if faults.contains(where: { $0.kind == .missing }) {
            _ = try queueCall { () throws(QueueError) in try spool.layout.create(owners: owners) }
            for fault in faults where fault.kind == .missing { done.append("made \(fault.path), which was missing") }
        }
        for fault in try queueCall({ () throws(QueueError) in try spool.layout.faults(owners: owners) }) {
            let isMended = try queueCall { () throws(QueueError) in
                try spool.layout.mend(fault, owners: owners)
            }
            if isMended { done.append(try FaultText(fault).sentence) }
        }
        return done
    }

    /// What a start makes of the spool it finds. With a runner at work that was done already, and is done on.
    private func recover() throws -> [String] {
        let moved = QuarantinedNames()
        guard let queue = try OwnRunner.start(spool, tell: moved.tell) else {
            Diagnostic.print(
                "the queue in \(spool.layout.root) has a runner at work: what a start mends, it did, and goes on with.")
            return []
        }
        defer { queue.close() }
        let lost = try queueCall { () throws(QueueError) in try queue.writeOffMissing() }
        let clear = try acceptsClear ? queueCall { () throws(QueueError) in try queue.acceptClear() } : []
        if !clear.isEmpty { queue.collect() }
        return moved.lines + lost.map { "took for lost: \($0)" } + clear.map { "took for mail: \($0)" }
    }
}

/// What recovery reports, gathered.
private final class QuarantinedNames: Sendable {
    private let gathered = Monitor<[String]>([])
    var lines: [String] { gathered.access { $0 } }

    func tell(_ report: QueueReport) {
        switch report {
        case .arrived: break
        case .quarantined(let name, let reason): gathered.access { $0.append("moved \(name) to quarantine: \(reason)") }
        case .failed(let error): Diagnostic.print(error.description)
        case .alarm(let sentence): Diagnostic.print(sentence)
        }
    }
}
