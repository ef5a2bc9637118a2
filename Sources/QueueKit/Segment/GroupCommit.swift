// Owns: one thread that appends all messages that wait and makes them durable with one sync. Refuses: messages too
// large to gather (SingleSegment), directories (SegmentStore).
//
//   wait for messages -> [open or roll over a segment] -> encode and write all that fit -> fdatasync -> publish -> answer
//          | nothing for a while: close the segment
//
// A failed write or sync fails the messages of that batch, and the segment is abandoned: below its committed offset all
// stands, and it is never synced again. The next batch begins a new one.

import MailModel

/// Where a committed message stands.
struct Placement: Sendable {
    var segment: SegmentName
    var message: StoredMessage
}

final class GroupCommit: Sendable {
    typealias Answer = @Sendable (Result<Placement, QueueError>) -> Void

    struct Waiting: Sendable {
        var stored: StoredEnvelope
        /// The envelope record's payload, checked by whoever submits it.
        var envelope: [UInt8]
        var content: [UInt8]
        var answer: Answer
    }

    private struct State {
        var waiting: [Waiting] = []
        var stopping = false
    }

    /// A segment nobody adds to is closed after this long, so that it can be freed.
    static let idleMilliseconds: Int64 = 5000
    /// A segment this full will want a successor soon.
    static let busySize: Int64 = 2 << 20

    private let store: any SegmentStore
    private let role: SegmentRole
    private let protection: Protection
    private let state = Monitor(State())
    /// Told after each commit, on the committing thread.
    private let committed: @Sendable () -> Void
    private let background: WorkQueue

    init(
        store: any SegmentStore, role: SegmentRole, _ protection: Protection, background: WorkQueue,
        committed: @escaping @Sendable () -> Void
    ) {
        (self.store, self.role, self.protection) = (store, role, protection)
        (self.background, self.committed) = (background, committed)
    }

    /// Starts the thread. It ends after `stop()`, when all that waited is answered.
    func start() throws(QueueError) -> Thread {
        try Thread("commit") { [self] in
            var loop = CommitLoop(store: store, role: role, protection, background: background)
            while let batch = next(loop.hasSegment) {
                if batch.isEmpty {
                    loop.closeSegment()
                } else {
                    loop.commit(batch)
                    committed()
                }
            }
            loop.closeSegment()
        }
    }

    func submit(_ message: Waiting) { state.update { $0.waiting.append(message) } }
    func stop() { state.update { $0.stopping = true } }

    /// All that waits; empty after an idle while with a segment open; nil when stopping and nothing waits.
    private func next(_ hasSegment: Bool) -> [Waiting]? {
        let batch: [Waiting]?? = state.wait(limit: hasSegment ? Self.idleMilliseconds : nil) { state in
            guard state.waiting.isEmpty else {
                defer { state.waiting = [] }
                return .some(state.waiting)
            }
            return state.stopping ? .some(nil) : nil
        }
        return batch ?? []
    }
}

/// What the committing thread holds: the segment and a buffer.
private struct CommitLoop {
    let store: any SegmentStore
    let role: SegmentRole
    let protection: Protection
    let background: WorkQueue
    private let run: [UInt8] = .random(16)
    private var number: UInt64 = 0
    private var writer: SegmentWriter?
    private var buffer: [UInt8] = []
    private var preparing = false

    init(store: any SegmentStore, role: SegmentRole, _ protection: Protection, background: WorkQueue) {
        (self.store, self.role, self.protection, self.background) = (store, role, protection, background)
    }

    var hasSegment: Bool { writer != nil }

    mutating func closeSegment() {
        // All of it is committed; what fails here recovery makes good.
        try? writer?.close()
        writer = nil
        preparing = false
    }

    /// Commits the messages in as few syncs as segments allow and answers each.
    mutating func commit(_ batch: [GroupCommit.Waiting]) {
        var rest = batch[...]
        while !rest.isEmpty {
            do throws(QueueError) {
                try store.makeSureOfRoom()
                let writer = try segment()
                let (placements, count) = try encode(rest, for: writer)
                try writer.append(buffer)
                try writer.commit()
                for (message, placement) in zip(rest, placements) { message.answer(.success(placement)) }
                rest = rest.dropFirst(count)
                if writer.isPublished { prepareSuccessor(writer) } else { closeSegment() }
            } catch {
                writer?.abandon()
                writer = nil
                for message in rest { message.answer(.failure(error)) }
                return
            }
        }
    }

    /// The open segment, or a new one when there is none or it is full.
    private mutating func segment() throws(QueueError) -> SegmentWriter {
        if let writer, writer.room > 0 { return writer }
        closeSegment()
        // Counted first: what failed half-way may have its name all the same.
        number += 1
        let new = try store.create(role: role, run: run, number: number - 1, protection)
        writer = new
        return new
    }

    /// Fills the buffer with the messages that fit, one at least.
    private mutating func encode(
        _ batch: ArraySlice<GroupCommit.Waiting>, for writer: SegmentWriter
    ) throws(QueueError) -> ([Placement], Int) {
        buffer.removeAll(keepingCapacity: true)
        var placements: [Placement] = []
        placements.reserveCapacity(batch.count)
        for message in batch {
            let envelope = message.envelope
            let needed = SegmentEncoder.spaceNeeded(envelope: envelope.count, content: message.content.count)
            if !placements.isEmpty && Int64(buffer.count + needed) > writer.room { break }
            let offset = writer.end + Int64(buffer.count)
            try writer.encoder.append(
                envelope: envelope, content: message.content, at: offset, durable: writer.durable, to: &buffer)
            let stored = StoredMessage(
                offset: offset, contentOffset: offset + Int64(RecordHeader.length + envelope.count),
                end: writer.end + Int64(buffer.count), contentLength: Int64(message.content.count),
                stored: message.stored)
            placements.append(Placement(segment: writer.name, message: stored))
        }
        return (placements, placements.count)
    }

    private mutating func prepareSuccessor(_ writer: SegmentWriter) {
        guard !preparing, writer.end > GroupCommit.busySize else { return }
        preparing = true
        // A failure costs speed, not mail: the next segment is then made without a spare.
        background.run { [store] in try? store.prepareSpare() }
    }
}
