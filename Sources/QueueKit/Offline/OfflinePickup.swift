// Owns: taking drops over from `offline/`, where anyone may put anything. Refuses: trusting a byte or an attribute it
// did not check on the open descriptor.
//
// A drop is opened without following links; it must be a regular file with one link, unlocked, of a sane size, and read
// whole as one message. It is copied into the runner's own segment; only the copy is used, and the owner of the file,
// not its text, says who submitted. When the copy is durable the drop is unlinked; the copy is not tried before
// `offline/` was synced. A crash between leaves both: the copy carries the stamp of the drop, which is then just
// removed.

import Glibc
import MailModel
import SystemPackage

struct OfflinePickup {
    /// What a look at one drop says.
    enum Verdict {
        /// Still being written, or gone: leave it.
        case wait
        /// Nobody holds it, and it is not whole. So many octets were read to know.
        case incomplete(octets: Int64)
        /// For the quarantine.
        case refuse(String)
        case accept(SegmentReader, StoredMessage)
    }

    static let suffix = ".drop"
    /// A drop that nobody holds and that is incomplete is left alone for this long (writers without O_TMPFILE).
    static let incompleteSeconds: Int64 = 3600

    let directory: Directory
    let clock: any TimeSource
    let sizeLimit: Int64
    let keys: KeyRing?

    /// Octets of a drop's file: content, its records' headers, an envelope.
    private var fileLimit: Int64 {
        let content = min(sizeLimit, 1 << 50)
        return content + (content / Int64(RecordHeader.contentLimit) + 4) * Int64(RecordHeader.length)
            + Int64(RecordHeader.payloadLimit) + SegmentHeader.firstRecord
    }

    func examine(_ name: String) throws(QueueError) -> Verdict {
        let file: OpenFile
        do throws(QueueError) {
            guard let found = try directory.openIfThere(name, flags: O_RDONLY | O_NONBLOCK) else { return .wait }
            file = found
        } catch {
            // A symbolic link, a socket. Anything else is no fault of the drop, or may be mended: it is told and skipped.
            guard [.tooManySymbolicLinkLevels, .noSuchAddressOrDevice].contains(error.cause) else { throw error }
            return .refuse("It can't be opened as a drop: \(error)")
        }
        let status = try file.status()
        guard status.st_mode & S_IFMT == S_IFREG else { return .refuse("It is not a regular file.") }
        // Without O_TMPFILE's unnamed beginning a link can't have two names; with it neither.
        guard status.st_nlink == 1 else {
            return status.st_nlink == 0 ? .wait : .refuse("It has \(status.st_nlink) links, not one.")
        }
        guard try file.tryLock() else { return .wait }
        guard Int64(status.st_size) <= fileLimit else {
            return .refuse("It has \(status.st_size) octets; a message may have \(sizeLimit).")
        }
        return try judge(file, status)
    }

    private func judge(_ file: OpenFile, _ status: stat) throws(QueueError) -> Verdict {
        let age = clock.now().seconds - Int64(status.st_mtim.tv_sec)
        let header: SegmentHeader
        do throws(QueueError) {
            header = try SegmentReader.header(of: file).0
        } catch {
            guard error.kind == .corrupt else { throw error }
            return age < Self.incompleteSeconds
                ? .incomplete(octets: SegmentHeader.firstRecord) : .refuse("It is no drop of a version we know.")
        }
        guard header.role == .submitter, header.flags.subtracting([.sealed, .compressed]) == .single else {
            return .refuse("Its header is not that of a drop.")
        }
        let reader: SegmentReader
        do throws(QueueError) {
            reader = try SegmentReader(file, in: .offline, keys: keys)
        } catch {
            // Sealed for a key that is not here, it stays where it is.
            guard error.kind == .corrupt else { throw error }
            return .refuse(error.explanation?.sentence ?? "\(error)")
        }
        // Its commit record says how large it is: few octets may inflate to very many.
        let claimed = try reader.message(at: SegmentHeader.firstRecord)?.contentLength ?? 0
        guard claimed <= sizeLimit else {
            return .refuse("It has \(claimed) octets; a message may have \(sizeLimit).")
        }
        let scan = try reader.scan(
            from: SegmentHeader.firstRecord, limit: Int64(status.st_size), verifyingContent: true,
            contentLimit: claimed)
        guard let message = scan.messages.first, scan.messages.count == 1, scan.damage.isEmpty else {
            return age < Self.incompleteSeconds && scan.messages.isEmpty
                ? .incomplete(octets: Int64(status.st_size)) : .refuse("It does not hold one whole message.")
        }
        return .accept(reader, message)
    }

    /// The queue ID and the stamp of a drop as far as its envelope goes, to find those that were copied before a crash.
    /// Nil for what is no drop.
    func peek(_ name: String) throws(QueueError) -> (id: QueueID, stamp: UInt64)? {
        guard let file = try directory.openIfThere(name, flags: O_RDONLY | O_NONBLOCK),
            try file.status().st_mode & S_IFMT == S_IFREG
        else { return nil }
        let reader = try SegmentReader(file, in: .offline, keys: keys)
        guard let message = try reader.message(at: SegmentHeader.firstRecord) else { return nil }
        return (message.id, reader.header.stamp)
    }

    /// The envelope of the copy: the submitter is the file's owner, whatever the drop says; it arrived in the past, or
    /// it would never expire; the rules were not asked yet, so no action was chosen; texts that a DSN repeats are plain.
    static func envelope(
        of message: StoredMessage, _ reader: SegmentReader, clock: any TimeSource = SystemClock()
    ) throws(QueueError) -> StoredEnvelope {
        var envelope = message.envelope
        envelope.origin = .submission(uid: try reader.file.status().st_uid)
        envelope.arrival = min(max(envelope.arrival, Timestamp(milliseconds: 0)), clock.now())
        if !isPlain(envelope.envelopeID) { envelope.envelopeID = nil }
        for index in envelope.recipients.indices {
            envelope.recipients[index].action = nil
            if !isPlain(envelope.recipients[index].originalRecipient) {
                envelope.recipients[index].originalRecipient = nil
            }
        }
        return StoredEnvelope(envelope, dropStamp: reader.header.stamp)
    }

    /// RFC 3461 §4.2, §4.4: at most 500 characters, none of them a control.
    private static func isPlain(_ text: String?) -> Bool {
        guard let text = text?.utf8 else { return true }
        return text.count <= 500 && text.allSatisfy { $0 >= 32 && $0 != 127 }
    }
}
