// Owns: going over a whole spool, file by file, with its runner at work or not. Refuses: changing anything, owners and
// modes (SpoolHealth).
//
// The spool lives meanwhile: mail comes, segments go. What looks wrong is looked at once more, and only what both looks
// find is told; a file that is gone by then is none of ours any more.

import Glibc
import MailModel

/// What a check goes by.
public struct SpoolCheck {
    let files: CheckFiles
    let layout: SpoolLayout
    let ledger: LedgerPlace?
    let clock: any TimeSource
    let syscalls: any Syscalls
    var report = CheckReport()
    /// The generation of each message of a segment that is not final.
    var generations: [QueueID: UInt32] = [:]

    /// - Parameters:
    ///   - keys: what opens sealed files; without them those are counted, not read.
    ///   - ledger: where it is, while the queue is sealed.
    /// - Throws: QueueError when there is no spool of ours, or its folders can't be opened.
    public init(
        _ layout: SpoolLayout, keys: KeyRing? = nil, ledger: LedgerPlace? = nil, clock: any TimeSource = SystemClock(),
        syscalls: any Syscalls = LibC()
    ) throws(QueueError) {
        _ = try SpoolMeta.read(layout, syscalls: syscalls)
        files = try CheckFiles(layout, keys, syscalls)
        (self.layout, self.ledger, self.clock, self.syscalls) = (layout, ledger, clock, syscalls)
    }

    /// Looks at everything once.
    ///
    /// - Throws: QueueError when a folder can't be listed; what can't be read of a single file is a finding.
    public mutating func run() throws(QueueError) -> CheckReport {
        let queue = try files.queue.names().sorted()
        let incoming = try files.incoming.names().sorted()
        for name in incoming { checkName(name, files.incoming, .incoming) }
        for name in queue { checkName(name, files.queue, .queue) }
        checkSpareCount(incoming, files.incoming)
        checkSpareCount(queue, files.queue)
        for name in try files.offline.names().sorted() { look { $0.drop(name) } }
        try checkQuarantine()
        checkLedger()
        if report.counts.sealed > 0, files.keys == nil { tellSealed() }
        return report
    }

    private mutating func checkName(_ name: String, _ directory: Directory, _ place: SpoolLayout.Place) {
        if let segment = SegmentName(file: name) {
            return look { check in check.segment(segment, directory, place) }
        }
        if place == .queue, let segment = SegmentName(journal: name) { return look { $0.lonelyJournal(segment) } }
        if name.hasPrefix(Spares.prefix) { return look { $0.spare(name, directory) } }
        let isUnfinished =
            name.hasPrefix("tmp.") || place == .queue && name.hasSuffix(".journal\(JournalWriter.temporarySuffix)")
        look { check in isUnfinished ? check.unfinished(name, directory) : check.stranger(name, directory) }
    }

    /// What one look at a file finds.
    struct Look {
        var findings: [CheckFinding] = []
        var counts = CheckCounts()
        /// Those that are not final.
        var messages: [Message] = []

        struct Message {
            var id: QueueID
            var generation: UInt32
            var octets: Int64
        }

        mutating func add(
            _ level: CheckFinding.Level, _ kind: CheckFinding.Kind, _ path: String, _ sentence: String,
            message: QueueID? = nil
        ) {
            findings.append(CheckFinding(level, kind, path, sentence, message: message))
        }

        static func failed(_ kind: CheckFinding.Kind, _ path: String, _ error: QueueError) -> Look {
            var look = Look()
            let text = error.description
            look.add(.fault, kind, path, text.sentence)
            return look
        }
    }

    /// Looks, and where something is wrong looks again.
    mutating func look(_ body: (SpoolCheck) -> Look) {
        var first = body(self)
        if !first.findings.isEmpty {
            let second = Set(body(self).findings)
            first.findings.removeAll { !second.contains($0) }
        }
        report.findings += first.findings
        report.counts.add(first.counts)
        for message in first.messages { count(message) }
    }

    /// While a message moves, or after a crash, there are two copies of different generations.
    private mutating func count(_ message: Look.Message) {
        guard let known = generations[message.id] else {
            report.counts.messages += 1
            report.counts.octets = report.counts.octets.addingReportingOverflow(message.octets).partialValue
            generations[message.id] = message.generation
            return
        }
        generations[message.id] = max(known, message.generation)
        guard known == message.generation else { return }
        report.findings.append(
            CheckFinding(
                .fault, .message, layout.root,
                "Message \(message.id) stands in the queue twice. The runner moves the second one to quarantine.",
                message: message.id))
    }

    private mutating func checkLedger() {
        guard let ledger, let keys = files.keys else { return }
        do throws(QueueError) {
            let findings = try Ledger.audit(ledger, in: layout, keys: keys, clock: clock, syscalls: syscalls)
            for finding in findings {
                let text = finding.sentence(ledger.path)
                report.findings.append(
                    CheckFinding(.fault, .ledger, ledger.path, text.sentence))
            }
        } catch {
            report.findings += Look.failed(.ledger, ledger.path, error).findings
        }
    }

    private mutating func tellSealed() {
        let count = report.counts.sealed
        let what = count == 1 ? "1 sealed file was" : "\(count) sealed files were"
        report.findings.append(
            CheckFinding(
                .unchecked, .sealed, layout.root,
                "\(what) counted, not read, and the ledger was not compared: the private key is not here. "
                    + "Run this where `queue encryption` can give it."))
    }
}

extension CheckCounts {
    fileprivate mutating func add(_ more: CheckCounts) {
        segments += more.segments
        journals += more.journals
        drops += more.drops
        spares += more.spares
        quarantined += more.quarantined
        sealed += more.sealed
    }
}
