// Owns: one message between its first byte and its commit. Refuses: deciding when either comes.
//
//   gathering --(too large, or too much gathered in all)--> streaming into a SingleSegment
//       | commit: GroupCommit answers            | commit: file synced, named, directory synced
//       | abort: forgotten                       | abort: the unnamed file goes

import MailModel

/// One message on its way in. Its calls come from one thread at a time; answers come from other threads.
public final class IncomingMessage: Sendable {
    public enum Flow: Hashable, Sendable {
        case more
        /// Send nothing until `ready` was called.
        case pause
        /// The message can't be stored; only `abort` makes sense now.
        case failed(QueueError)
    }

    private struct State {
        var content: [UInt8] = []
        var stream: Stream?
        var pending = 0
        var paused = false
        var failure: QueueError?
    }

    public var id: QueueID { stored.envelope.id }
    private let stored: StoredEnvelope
    private let intake: Intake
    private let ready: @Sendable () -> Void
    private let state = Monitor(State())

    init(_ stored: StoredEnvelope, _ intake: Intake, ready: @escaping @Sendable () -> Void) {
        (self.stored, self.intake, self.ready) = (stored, intake, ready)
    }

    /// Adds content: lines ending with CRLF, no dot-stuffing.
    public func append(_ bytes: [UInt8]) -> Flow {
        state.access { state in
            if let failure = state.failure { return .failed(failure) }
            if state.stream == nil {
                state.content += bytes
                let total = intake.gathered.access { total in
                    total += bytes.count
                    return total
                }
                guard
                    state.content.count > intake.limits.gatheredMessageBytes || total > intake.limits.gatheredTotalBytes
                else { return .more }
                beginStream(&state)
            } else {
                write(bytes, &state)
            }
            state.paused = state.pending > intake.limits.pendingBytes
            return state.paused ? .pause : .more
        }
    }

    /// Makes the message durable, then answers from another thread.
    public func commit(_ answer: @escaping @Sendable (Result<Void, QueueError>) -> Void) {
        commitPlaced { result in answer(result.map { _ in }) }
    }

    func commitPlaced(_ answer: @escaping GroupCommit.Answer) {
        let (content, stream) = state.access { state in
            defer { state.content = [] }
            return (state.content, state.stream)
        }
        if let stream {
            return commit(stream, answer)
        }
        let ended: GroupCommit.Answer = { [intake] result in
            intake.gathered.access { $0 -= content.count }
            answer(result)
        }
        do throws(QueueError) {
            let envelope = try stored.checkedBytes()
            intake.submit(.init(stored: stored, envelope: envelope, content: content, answer: ended))
        } catch {
            intake.background.run { ended(.failure(error)) }
        }
    }

    private func commit(_ stream: Stream, _ answer: @escaping GroupCommit.Answer) {
        intake.background.run { [intake, state] in
            let result = Result { () throws(QueueError) in
                if let failure = state.access({ $0.failure }) {
                    stream.abort()
                    throw failure
                }
                return try stream.commit()
            }
            answer(result)
            if case .success = result { intake.announce() }
        }
    }

    /// Ends the message without a trace.
    public func abort() {
        state.access { state in
            if let stream = state.stream {
                intake.background.run { stream.abort() }
            } else {
                intake.gathered.access { $0 -= state.content.count }
            }
            state.content = []
        }
    }

    private func beginStream(_ state: inout State) {
        let content = state.content
        intake.gathered.access { $0 -= content.count }
        state.content = []
        state.stream = Stream(stored, intake)
        write(content, &state)
    }

    private func write(_ bytes: [UInt8], _ state: inout State) {
        guard let stream = state.stream else { return }
        state.pending += bytes.count
        intake.background.run { [self] in
            let result = Result { () throws(QueueError) in try stream.append(bytes) }
            let resume = self.state.access { state in
                state.pending -= bytes.count
                if case .failure(let error) = result, state.failure == nil { state.failure = error }
                guard state.paused, state.pending <= intake.limits.pendingBytes / 2 || state.failure != nil else {
                    return false
                }
                state.paused = false
                return true
            }
            if resume { ready() }
        }
    }

    /// The file of a streamed message; touched only by the background thread.
    private final class Stream: @unchecked Sendable {
        // Sendable by proof: `segment` is used only in jobs of one WorkQueue, which runs them one after another.
        private let stored: StoredEnvelope
        private let intake: Intake
        private var segment: SingleSegment?

        init(_ stored: StoredEnvelope, _ intake: Intake) { (self.stored, self.intake) = (stored, intake) }

        func append(_ bytes: [UInt8]) throws(QueueError) {
            // Each piece, for a large message may be larger than what is left.
            try intake.store.makeSureOfRoom()
            let segment = try opened()
            try segment.append(bytes)
        }

        private func opened() throws(QueueError) -> SingleSegment {
            if let segment { return segment }
            let new = try SingleSegment(
                in: intake.store.directory, role: intake.role, mode: SpoolLayout.fileMode, intake.protection,
                clock: intake.clock)
            segment = new
            // When this fails the message fails: nothing more is written to the segment.
            try new.write(stored)
            return new
        }

        func commit() throws(QueueError) -> Placement {
            let segment = try opened()
            do throws(QueueError) {
                let message = try segment.finish()
                let name = SegmentName(.make(intake.clock))
                try segment.commit(as: name)
                return Placement(segment: name, message: message)
            } catch {
                segment.abort()
                throw error
            }
        }

        func abort() { segment?.abort() }
    }
}
