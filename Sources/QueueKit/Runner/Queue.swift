// Owns: the queue as its runner sees it: one lock, the messages of all segments, what is due, what is written about
// each. Refuses: threads of its own for deciding; everything here happens on the caller's thread (one at a time), and
// what blocks for long is handed to helpers that answer through `wake`. Refuses SMTP, routing, DSN texts.
//
//   init ............ the lock, recovery                                Queue+Recovery
//   collect ......... new messages of writers, drops                    Queue+Collecting, Queue+Drops
//   takeDue, open ... what may be tried now, and its envelope           Queue+Attempts
//   expand, record, finish ... results, durable within a second         Queue+Attempts
//   submit .......... a message of our own (DSN), durable               Queue+Attempts
//   hold, release, flush, remove ... an operator's orders               Queue+Orders
//   move ............ survivors into a new segment, sealed as configured Queue+Moving
//   close ........... everything durable, the lock given back

import HeapModule
import MailModel

/// What the queue tells whoever runs it.
public enum QueueReport: Sendable {
    /// A message is the runner's now. From a drop, or from a listener's segment.
    case arrived(QueueID)
    /// A file or a message was moved to quarantine.
    case quarantined(name: String, reason: String)
    /// Something failed; mail is safe, the queue tries again.
    case failed(QueueError)
    /// The ledger says that somebody took segments away or put some back, or it is itself not what it was.
    case alarm(String)
}

public struct QueueOptions: Sendable {
    public var schedule: RetrySchedule
    /// Octets of a message's content; larger drops are refused.
    public var sizeLimit: Int64
    /// How the runner's own segments are written.
    public var protection = Protection.none
    /// What opens sealed segments; nil when the queue was never sealed.
    public var keys: KeyRing?
    /// Where the ledger of a sealed queue lies; nil for the spool itself.
    public var ledger: LedgerPlace?
    public var clock: any TimeSource = SystemClock()
    public var syscalls: any Syscalls = LibC()

    public init(schedule: RetrySchedule, sizeLimit: Int64) {
        (self.schedule, self.sizeLimit) = (schedule, sizeLimit)
    }
}

/// The runner's queue. Used by one thread (or one actor) at a time.
public final class Queue {
    public let layout: SpoolLayout
    var options: QueueOptions
    let clock: any TimeSource
    let report: @Sendable (QueueReport) -> Void
    let wake: @Sendable () -> Void

    private let lock: RunnerLock
    let queueDirectory: Directory
    let offlineDirectory: Directory
    let incomingDirectory: Directory
    let quarantine: Quarantine
    let stores: [DirectorySegmentStore]
    let intake: Intake
    let ledger: Ledger?
    let housekeeper: Housekeeper
    private let housekeeping: Thread
    let copying: WorkQueue
    let inbox: Monitor<[Note]>

    var rows: [QueueID: MessageRow] = [:]
    var segments: [SegmentName: TrackedSegment] = [:]
    /// Handed to the housekeeper, not yet gone; and those of them that it gave back.
    var retiring: [SegmentName: TrackedSegment] = [:]
    var unretired: Set<SegmentName> = []
    /// What can't be read now, with the time of the next try.
    var unreadable: [SegmentName: Backoff] = [:]
    var due = Heap<DueEntry>()
    /// Drops on their way into the queue, and the messages that wait for their drop to be gone for good.
    var drops: [String: DropState] = [:]
    var awaitingDrop: Set<QueueID> = []
    /// Messages on their way into another segment: not tried meanwhile.
    var moving: [QueueID: MoveState] = [:]
    var moveCandidates: [QueueID] = []
    var moveRetry = Backoff()
    var nextMoveLook = Int64.min
    var moveJournal: MoveJournal?
    /// The last drop that was looked at, and those that could not be taken.
    var dropCursor = ""
    var dropRetries: [String: Backoff] = [:]

    /// What helpers tell the runner's thread.
    enum Note: Sendable {
        case synced(journal: String, frames: UInt64)
        case journalFailed(String)
        case retired(SegmentName, QueueError?)
        case copied(drop: String, QueueID, DropCopy.End)
        case notMoved(QueueID, QueueError)
        case settled(QueueID, QueueError?)
    }

    /// Takes the runner's lock and recovers: every message of the spool is known when it returns.
    ///
    /// - Parameters:
    ///   - wake: called from other threads when `collect` has something to do.
    /// - Throws: QueueError `.locked` with another runner at work, `.missing`, `.newerFormat`, or what failed.
    public init(
        _ layout: SpoolLayout, _ options: QueueOptions, report: @escaping @Sendable (QueueReport) -> Void,
        wake: @escaping @Sendable () -> Void
    ) throws(QueueError) {
        let syscalls = options.syscalls
        _ = try SpoolMeta.read(layout, syscalls: syscalls)
        (self.layout, self.options, clock) = (layout, options, options.clock)
        (self.report, self.wake) = (report, wake)
        lock = try RunnerLock(layout, syscalls: syscalls)
        queueDirectory = try Directory(layout.path(.queue), syscalls: syscalls)
        offlineDirectory = try Directory(layout.path(.offline), syscalls: syscalls)
        incomingDirectory = try Directory(layout.path(.incoming), syscalls: syscalls)
        quarantine = Quarantine(
            directory: try Directory(layout.path(.quarantine), syscalls: syscalls), clock: options.clock)
        stores = [
            DirectorySegmentStore(queueDirectory, .queue, clock: options.clock),
            DirectorySegmentStore(incomingDirectory, .incoming, clock: options.clock),
        ]
        intake = try Intake(
            layout, place: .queue, protection: options.protection, clock: options.clock, syscalls: syscalls,
            committed: wake)
        ledger = try Self.openLedger(layout, options, report)
        let inbox = Monitor<[Note]>([])
        self.inbox = inbox
        housekeeper = Housekeeper(journals: queueDirectory, ledger: ledger) { event in
            switch event {
            case .synced(let journal, let frames): inbox.update { $0.append(.synced(journal: journal, frames: frames)) }
            case .retired(let segment, let error):
                inbox.update { $0.append(.retired(segment, error)) }
            case .failed(let journal, let error):
                if let journal { inbox.update { $0.append(.journalFailed(journal)) } }
                report(.failed(error))
            }
        }
        housekeeping = try housekeeper.start()
        copying = try WorkQueue("pickup")
        do throws(QueueError) {
            try recover()
        } catch {
            endHelpers()
            throw error
        }
    }

    /// A sealed queue has a ledger. What was stored in clear while none was kept is no intruder.
    private static func openLedger(
        _ layout: SpoolLayout, _ options: QueueOptions, _ report: @Sendable (QueueReport) -> Void
    ) throws(QueueError) -> Ledger? {
        let place = options.ledger ?? LedgerPlace(layout)
        guard let keys = options.keys, options.protection.sealer != nil else {
            try Ledger.remove(place, syscalls: options.syscalls)
            return nil
        }
        let (ledger, findings) = try Ledger.open(
            place, in: layout, keys: keys, clock: options.clock, syscalls: options.syscalls)
        for finding in findings { report(.alarm(finding.sentence(place.path))) }
        return ledger
    }

    /// Takes segments that are not sealed, and came after encryption was switched on, for mail. The next `collect` does.
    ///
    /// - Returns: a sentence about each.
    public func acceptClear() throws(QueueError) -> [String] {
        guard let ledger, let keys = options.keys else { return [] }
        let findings = try Ledger.audit(
            ledger.place, in: layout, keys: keys, clock: clock, syscalls: options.syscalls
        ).filter(\.isClear)
        try ledger.accept(findings)
        unreadable = [:]
        return findings.map { $0.sentence(ledger.place.path) }
    }

    /// Takes segments that the ledger misses for lost: they are not told again.
    ///
    /// - Returns: a sentence about each.
    public func writeOffMissing() throws(QueueError) -> [String] {
        guard let ledger, let keys = options.keys else { return [] }
        let findings = try Ledger.audit(
            ledger.place, in: layout, keys: keys, clock: clock, syscalls: options.syscalls
        ).filter(\.isLoss)
        try ledger.writeOff(findings)
        return findings.map { $0.sentence(ledger.place.path) }
    }

    /// Takes another schedule for the attempts to come.
    public func follow(_ schedule: RetrySchedule) { options.schedule = schedule }

    /// How many messages are not final, without those whose drops are still being removed.
    public var count: Int { rows.count - awaitingDrop.count { rows[$0] != nil } }
    /// Whether drops or messages are on their way into a segment: what is due may be more in a moment. Helpers wake the
    /// runner when they are there; what else they have to tell makes nothing due.
    public var isCollecting: Bool {
        drops.values.contains(where: \.isMoving) || moving.values.contains(where: \.isMoving)
    }
    /// Whether files of mail lie there that could not be read: sealed for a key that is not here, above all.
    public var hasUnread: Bool { !unreadable.isEmpty || !dropRetries.isEmpty }
    public var ids: [QueueID] { Array(rows.keys) }

    /// Makes everything durable, ends the helpers and gives the lock back. Nothing may be asked after it.
    public func close() {
        endHelpers()
        readNotes()
        mendJournals(evenEarly: true)
        // What it did not learn now, the next start tells it.
        try? ledger?.sync()
        // A failure is told by whoever needs the name: the next start reads the old journal then.
        try? queueDirectory.sync()
        lock.release()
    }

    /// Each may still hand work to the next.
    private func endHelpers() {
        copying.stop()
        intake.close()
        housekeeper.stop()
        housekeeping.join()
    }

    /// Answers from another thread once everything recorded so far is durable, or could not be made so.
    public func whenDurable(_ answer: @escaping @Sendable (QueueError?) -> Void) { housekeeper.barrier(answer) }

    /// Works through what the helpers had to tell.
    func readNotes() {
        for note in inbox.access({ notes in
            defer { notes = [] }
            return notes
        }) {
            switch note {
            case .synced(let journal, let frames):
                guard let name = SegmentName(journal: journal), let segment = segments[name] else { continue }
                segment.unsynced.removeAll { $0.frame < frames }
            case .journalFailed(let journal):
                guard let name = SegmentName(journal: journal) else { continue }
                (segments[name] ?? retiring[name])?.journalFailed = true
            case .retired(let segment, let error): retired(segment, error)
            case .copied(let drop, let id, let end): copied(drop, id, end)
            case .notMoved(let id, let error): notMoved(id, error)
            case .settled(let id, let error): settled(id, error)
            }
        }
    }
}
