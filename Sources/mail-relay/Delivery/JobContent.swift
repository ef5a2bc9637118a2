// Owns: handing a stored message's content to a connection. Refuses: keeping large content in memory.

import QueueKit
import Synchronization
import Transport

/// The content of a message for one delivery.
enum JobContent: Sendable {
    /// Read before: small messages.
    case bytes([UInt8])
    /// Read piece by piece as the connection takes it.
    case stored(StoredContent)

    /// Messages up to this size are read whole when they are due.
    static let wholeLimit: Int64 = 256 << 10

    /// - Throws: QueueError `.corrupt` when small content is not what was written.
    init(_ message: DueMessage) throws(QueueError) {
        let content = message.content()
        guard message.size <= Self.wholeLimit else {
            self = .stored(StoredContent(content))
            return
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(message.size))
        while let piece = try content.next() { bytes += piece }
        self = .bytes(bytes)
    }
}

/// A reading of stored content. Reading blocks for a page of the file at most.
final class StoredContent: ContentSource, @unchecked Sendable {
    // Sendable by proof: `content` is made for this object alone and touched only inside `damaged.withLock`.
    private let content: MessageContent
    private let damaged = Mutex(false)

    init(_ content: MessageContent) { self.content = content }

    /// Whether a read found that the content is not what was written.
    var isDamaged: Bool { damaged.withLock { $0 } }

    func next() async throws -> [UInt8]? {
        try damaged.withLock { damaged in
            do throws(QueueError) {
                return try content.next()
            } catch {
                damaged = damaged || error.kind == .corrupt
                throw error
            }
        }
    }
}
