// Owns: a segment that holds one message and has no name until that is complete: large messages, drops, one-session
// listeners. Refuses: choosing the name and the order of the last steps, which differ by directory.

import Glibc
import MailModel

/// One message on its way into a file of its own. Used by one thread. Nothing of it is visible before `named`.
final class SingleSegment {
    let header: SegmentHeader
    private let encoder: SegmentEncoder
    private let directory: Directory
    private let unnamed: UnnamedFile
    private var position = SegmentHeader.firstRecord
    private var chunk: [UInt8] = []
    private(set) var contentLength: Int64 = 0
    private var stored: StoredEnvelope?
    private var contentOffset = SegmentHeader.firstRecord

    /// Creates the file, locked, and writes its header.
    init(
        in directory: Directory, role: SegmentRole, mode: UInt32, _ protection: Protection, clock: any TimeSource
    ) throws(QueueError) {
        self.directory = directory
        // A run of its own: whether it ever gets its name is open, and a run has no gaps.
        let plain = SegmentHeader(flags: .single, role: role, created: clock.now(), run: .random(16), number: 0)
        let start = try SegmentStart(plain, protection)
        (header, encoder) = (start.header, start.encoder)
        unnamed = try directory.openUnnamed(mode: mode, token: QueueID.make(clock).description)
        do throws(QueueError) {
            // By the descriptor, so that no umask matters; before the first byte of mail.
            try unnamed.file.setMode(mode)
            guard try unnamed.file.tryLock() else {
                throw QueueError(.system, "lock a new file in \(directory.path)", cause: .wouldBlock)
            }
            try unnamed.file.write(header.blocks, at: 0)
        } catch {
            directory.discard(unnamed)
            throw error
        }
    }

    func write(_ stored: StoredEnvelope) throws(QueueError) {
        let envelope = try stored.checkedBytes()
        try encoder.begin(at: position)
        try write { (out) throws(QueueError) in try encoder.envelope(envelope, to: &out) }
        self.stored = stored
        contentOffset = position
    }

    func append(_ bytes: [UInt8]) throws(QueueError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(RecordHeader.contentLimit - chunk.count)
            chunk += piece
            rest = rest.dropFirst(piece.count)
            guard chunk.count == RecordHeader.contentLimit else { break }
            try writeChunk()
        }
        contentLength += Int64(bytes.count)
    }

    private func writeChunk() throws(QueueError) {
        let full = chunk
        try write { (out) throws(QueueError) in
            try full.lending { (chunk) throws(QueueError) in try encoder.content(chunk, to: &out) }
        }
        chunk.removeAll(keepingCapacity: true)
    }

    private func write(_ encode: (inout [UInt8]) throws(QueueError) -> Void) throws(QueueError) {
        var out: [UInt8] = []
        try encode(&out)
        try unnamed.file.write(out, at: position)
        position += Int64(out.count)
    }

    /// Writes the rest, the commit record and the committed offset. Nothing is synced yet.
    func finish() throws(QueueError) -> StoredMessage {
        guard let stored else { throw QueueError(.refused, "store a message without envelope") }
        if !chunk.isEmpty { try writeChunk() }
        let commit = CommitRecord(contentLength: contentLength, durableOffset: SegmentHeader.firstRecord)
        try write { (out) throws(QueueError) in try encoder.commit(commit, to: &out) }
        let end = position.alignedToBlock
        try unnamed.file.truncate(to: end)
        try unnamed.file.write(SegmentHeader.hint(end), at: Int64(SegmentHeader.hintOffset))
        return StoredMessage(
            offset: SegmentHeader.firstRecord, contentOffset: contentOffset, end: end, contentLength: contentLength,
            stored: stored)
    }

    /// For directories that can be opened: file synced, then named, then the directory synced. Its return is the
    /// instant of commit. Lets go of the lock. If the last step fails the name is taken back: whoever is told that the
    /// message was not stored will send it again.
    func commit(as name: SegmentName) throws(QueueError) {
        try unnamed.file.sync()
        try directory.link(unnamed, as: name.description)
        do throws(QueueError) {
            try directory.sync()
        } catch {
            try? directory.unlink(name.description)
            throw error
        }
        try? unnamed.file.unlock()
    }

    /// For `offline/`, which its users can't open to sync: named first, then one sync of the file, which makes the
    /// name durable with it. Its return is the instant of commit.
    func link(as name: String) throws(QueueError) { try directory.link(unnamed, as: name) }
    func sync() throws(QueueError) { try unnamed.file.sync() }
    func unlock() throws(QueueError) { try unnamed.file.unlock() }

    /// The file goes, unless it has its name already.
    func abort() { directory.discard(unnamed) }
}
