// Owns: taking messages in from many sessions at once, durable before they are acknowledged. Refuses: protocols,
// deciding what is accepted.

import Glibc
import MailModel

/// How much an intake gathers in memory.
public struct IntakeLimits: Hashable, Sendable {
    /// A message larger than this goes straight into a file of its own.
    public var gatheredMessageBytes = 256 << 10
    /// Of all messages under way together; beyond it each new piece goes straight to disk.
    public var gatheredTotalBytes = 64 << 20
    /// Of one message waiting for the disk; beyond it its sender is paused.
    public var pendingBytes = 1 << 20

    public init() {}
}

/// The way into the spool for mail-listen (`incoming/`) and for the runner's own messages (`queue/`).
///
///     let intake = try Intake(layout, place: .incoming)
///     let message = intake.begin(envelope) { /* may go on */ }
///     _ = message.append(bytes)
///     message.commit { result in /* durable, or why not */ }
public final class Intake: Sendable {
    let store: DirectorySegmentStore
    let role: SegmentRole
    let protection: Protection
    let limits: IntakeLimits
    let clock: any TimeSource
    let gathered = Monitor(0)
    /// Large messages are written here, and spares made.
    let background: WorkQueue
    private let commits: GroupCommit
    private let thread: Thread
    /// Tells the runner that there is new mail.
    let announce: @Sendable () -> Void

    /// - Parameters:
    ///   - place: `.incoming` for a listener, `.queue` for the runner.
    ///   - protection: how its segments are written; a sealer of the role that belongs to the place.
    ///   - committed: told from another thread after each commit.
    /// - Throws: QueueError when the spool is missing, newer, or its directory can't be opened.
    public init(
        _ layout: SpoolLayout, place: SpoolLayout.Place, protection: Protection = .none,
        limits: IntakeLimits = IntakeLimits(),
        clock: any TimeSource = SystemClock(), syscalls: any Syscalls = LibC(),
        committed: @escaping @Sendable () -> Void = {}
    ) throws(QueueError) {
        _ = try SpoolMeta.read(layout, syscalls: syscalls)
        store = DirectorySegmentStore(try Directory(layout.path(place), syscalls: syscalls), place, clock: clock)
        role = place == .incoming ? .listener : .runner
        (self.protection, self.limits, self.clock) = (protection, limits, clock)
        let trigger = place == .incoming ? TriggerWriter(layout, syscalls: syscalls) : nil
        announce = {
            trigger?.pull()
            committed()
        }
        background = try WorkQueue("spool")
        commits = GroupCommit(store: store, role: role, protection, background: background) { [announce] in
            announce()
        }
        thread = try commits.start()
    }

    /// Begins a message.
    ///
    /// - Parameter ready: called from another thread when a paused sender may go on, or will learn of a failure.
    public func begin(_ envelope: Envelope, ready: @escaping @Sendable () -> Void = {}) -> IncomingMessage {
        IncomingMessage(StoredEnvelope(envelope), self, ready: ready)
    }

    func begin(_ stored: StoredEnvelope, ready: @escaping @Sendable () -> Void = {}) -> IncomingMessage {
        IncomingMessage(stored, self, ready: ready)
    }
    func submit(_ message: GroupCommit.Waiting) { commits.submit(message) }

    /// Answers all that waits, closes the segment and ends the threads. Nothing may begin after it.
    public func close() {
        commits.stop()
        thread.join()
        background.stop()
    }
}
