// Owns: giving out the content of one message, checked piece by piece. Refuses: holding it whole.

/// The content of a stored message, in order, in pieces of at most 64 KiB. Used by one reader at a time.
public final class MessageContent {
    /// Octets in all.
    public let length: Int64
    private let file: OpenFile
    private let message: StoredMessage
    private var verifier: RecordVerifier
    private var position: Int64
    private var order: UInt32 = 1

    init(_ file: OpenFile, _ message: StoredMessage, _ verifier: consuming RecordVerifier) {
        (self.file, self.message) = (file, message)
        self.verifier = verifier
        (position, length) = (message.contentOffset, message.contentLength)
    }

    /// The next piece, or nil at the end.
    ///
    /// - Throws: QueueError `.corrupt` when a record is not what was written; what was given before is then no whole
    ///   message and must not be released (DESIGN §3: no final dot).
    public func next() throws(QueueError) -> [UInt8]? {
        if verifier.given == length { return nil }
        let most = RecordHeader.length + RecordHeader.contentLimit + RecordHeader.compressionGrowth
        let bytes = try file.read(most, at: position)
        let piece = try bytes.lending { (bytes) throws(QueueError) in try check(bytes) }
        guard let piece, !piece.isEmpty else {
            throw QueueError(
                .corrupt, "read the message at \(message.offset) of \(file.path)",
                explanation: "its content is not what was written.")
        }
        order += 1
        return piece
    }

    /// The content record at the start of `bytes`, if it is the one expected here.
    private func check(_ bytes: UnsafeRawBufferPointer) throws(QueueError) -> [UInt8]? {
        guard let header = verifier.header(bytes, order: order), header.kind == .content,
            header.wholeLength <= bytes.count
        else { return nil }
        position += Int64(header.wholeLength)
        return try verifier.payload(header, UnsafeRawBufferPointer(rebasing: bytes[..<header.wholeLength]))
    }
}
