// Owns: taking drops over from `offline/`, where anyone may put anything. Refuses: trusting a byte or an attribute it
// did not check on the open descriptor.
//
// A drop is opened without following links; it must be a regular file with one link, unlocked, of a sane size, and read
// whole as one message. It is copied into the runner's own segment; only the copy is used, and the owner of the file,
// not its text, says who submitted. When the copy is durable the drop is unlinked; `offline/` is synced before the copy
// may be freed. A crash between leaves both: the copy carries the stamp of the drop, which is then just removed.

import Glibc
import MailModel

struct OfflinePickup {
    /// What a look at one drop says.
    enum Verdict {
        /// Still being written, or for another try: leave it.
        case wait
        /// Gone, or left over by a crash of its writer or of ours: removed.
        case remove
        /// For the quarantine.
        case refuse(String)
        case accept(SegmentReader, StoredMessage)
    }

    static let suffix = ".drop"
    /// A drop that nobody holds and that is incomplete is left alone for this long (writers without O_TMPFILE).
    static let incompleteSeconds: Int64 = 3600
    /// Taken in one round, so that a flood of drops leaves room for other work.
    static let batch = 500

    let directory: Directory
    let clock: any TimeSource
    let sizeLimit: Int64

    /// The names of drops, oldest first, at most `batch`, without those in `busy`.
    func candidates(busy: Set<String>) throws(QueueError) -> [String] {
        let names = try directory.names().filter { !busy.contains($0) }
        return Array(names.sorted().prefix(Self.batch))
    }

    func examine(_ name: String) throws(QueueError) -> Verdict {
        let file: OpenFile
        do throws(QueueError) {
            guard let found = try directory.openIfThere(name, flags: O_RDONLY | O_NONBLOCK) else { return .wait }
            file = found
        } catch {
            // A symbolic link (ELOOP), a socket (ENXIO), a file without any right for us.
            guard error.cause != .tooManyOpenFiles && error.cause != .tooManyOpenFilesInSystem else { throw error }
            return .refuse("It can't be opened as a drop: \(error)")
        }
        let status = try file.status()
        guard status.st_mode & S_IFMT == S_IFREG else { return .refuse("It is not a regular file.") }
        // Without O_TMPFILE's unnamed beginning a link can't have two names; with it neither.
        guard status.st_nlink == 1 else {
            return status.st_nlink == 0 ? .wait : .refuse("It has \(status.st_nlink) links, not one.")
        }
        guard try file.tryLock() else { return .wait }
        guard Int64(status.st_size) <= sizeLimit + (1 << 20) else {
            return .refuse("It has \(status.st_size) octets; a message may have \(sizeLimit).")
        }
        return try judge(file, status)
    }

    private func judge(_ file: OpenFile, _ status: stat) throws(QueueError) -> Verdict {
        let age = clock.now().seconds - Int64(status.st_mtim.tv_sec)
        let reader: SegmentReader
        do throws(QueueError) {
            reader = try SegmentReader(file)
        } catch {
            guard error.kind == .corrupt else { throw error }
            return age < Self.incompleteSeconds ? .wait : .refuse("It is no drop of a version we know.")
        }
        guard reader.header.role == .submitter, reader.header.flags == .single else {
            return .refuse("Its header is not that of a drop.")
        }
        let scan = try reader.scan(
            from: SegmentHeader.firstRecord, limit: Int64(status.st_size), verifyingContent: true)
        guard let message = scan.messages.first, scan.messages.count == 1, scan.damage.isEmpty else {
            return age < Self.incompleteSeconds && scan.messages.isEmpty
                ? .wait : .refuse("It does not hold one whole message.")
        }
        return .accept(reader, message)
    }

    /// The envelope of the copy: the submitter is the file's owner, whatever the drop says.
    static func envelope(of message: StoredMessage, _ reader: SegmentReader) throws(QueueError) -> StoredEnvelope {
        var envelope = message.envelope
        envelope.origin = .submission(uid: try reader.file.status().st_uid)
        return StoredEnvelope(envelope, dropStamp: reader.header.stamp)
    }
}
