// Owns: handing a stored message's content to a connection. Refuses: keeping large content in memory.

import QueueKit
import Synchronization
import Transport

/// The content of a message for one delivery.
enum JobContent: Sendable {
    /// Read before: small messages.
    case bytes([UInt8])
    /// Read piece by piece as the connection takes it, each time from its start.
    case stored(StoredContent)

    /// Messages up to this size are read whole when they are due.
    static let wholeLimit: Int64 = 256 << 10

    /// - Throws: QueueError `.corrupt` when small content is not what was written.
    init(_ message: DueMessage) throws(QueueError) {
        guard message.size <= Self.wholeLimit else {
            self = .stored(message.stored)
            return
        }
        let content = message.content()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(message.size))
        while let piece = try content.next() { bytes += piece }
        self = .bytes(bytes)
    }
}

/// One giving out of a job's content, to one connection. Reading stored content blocks for a page of the file at most.
final class ContentReading: ContentSource, @unchecked Sendable {
    // Sendable by proof: `content` is made for this object alone; it and the rest are touched only inside the Mutex.
    private let content: MessageContent?
    private let state: Mutex<State>

    private struct State {
        var bytes: [UInt8]?
        var hasBegun = false
        var isDamaged = false
    }

    init(_ content: JobContent) {
        switch content {
        case .bytes(let bytes):
            self.content = nil
            state = Mutex(State(bytes: bytes))
        case .stored(let stored):
            self.content = stored.reading()
            state = Mutex(State())
        }
    }

    /// Whether any content was asked for: after that the peer may have taken the message.
    var hasBegun: Bool { state.withLock { $0.hasBegun } }
    /// Whether a read found that the content is not what was written.
    var isDamaged: Bool { state.withLock { $0.isDamaged } }

    func next() async throws -> [UInt8]? {
        try state.withLock { state in
            state.hasBegun = true
            guard let content else {
                defer { state.bytes = nil }
                return state.bytes
            }
            do throws(QueueError) {
                return try content.next()
            } catch {
                state.isDamaged = state.isDamaged || error.kind == .corrupt
                throw error
            }
        }
    }
}
