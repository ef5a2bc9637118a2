// Owns: how a message's content reaches a connection. Refuses: reading the queue.

/// Gives the content of one message piece by piece, lines ending with CRLF, not dot-stuffed.
///
/// An error ends the connection before the final dot: the peer never takes half a message for a whole one
/// (DESIGN.md §3: released means the final dot).
public protocol ContentSource: Sendable {
    /// The next piece, of any size; nil at the end. Not called again after that or after an error.
    func next() async throws -> [UInt8]?
}

/// Content that is in memory already.
public struct MemoryContent: ContentSource {
    private let pieces: Pieces

    public init(_ bytes: [UInt8]) { pieces = Pieces(bytes) }

    public func next() async throws -> [UInt8]? { await pieces.take() }

    private actor Pieces {
        private var bytes: [UInt8]?
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        func take() -> [UInt8]? {
            defer { bytes = nil }
            return bytes
        }
    }
}
