// Owns: appending to the journal of one segment, sealed or not, with room reserved beforehand. Refuses: syncing
// (Housekeeper does, on its thread), deciding what to write.
//
// Order: room is reserved before an attempt starts; its result is written at once and synced within a second by the
// Housekeeper. A crash before the sync forgets the last marks: those messages are tried again. After a failed sync the
// file is never synced again: the whole state goes to a new journal, which replaces it, before any further attempt.

import Glibc
import MailModel

/// The journal of one segment. Used by the runner's thread; only `file` is handed to the syncing thread.
final class JournalWriter {
    /// Room is reserved in steps of this size.
    static let reserveStep: Int64 = 64 << 10
    static let temporarySuffix = ".new"
    /// No journal of 32,000 messages tried for a week comes near; a file is read whole.
    static let sizeLimit = Int64(1) << 31

    let name: String
    private let directory: Directory
    private let header: JournalFormat.Header
    private(set) var end: Int64
    private(set) var frames: UInt64
    private var allocated: Int64
    private var promised: Int64 = 0
    private var open: OpenFile?
    /// Of a sealed journal.
    private let key: Secret?
    /// Made with the first frame that is written; kept as long as the journal is.
    private var frameSealer: FrameSealer?

    /// Creates a journal. Its name becomes durable with the next sync of the directory.
    init(
        creating name: String, in directory: Directory, segmentStamp: UInt64, _ seal: JournalSeal?,
        clock: any TimeSource
    ) throws(QueueError) {
        (self.name, self.directory, key) = (name, directory, seal?.key)
        header = JournalFormat.Header(segmentStamp: segmentStamp, created: clock.now(), keyID: seal?.id)
        let unnamed = try directory.openUnnamed(mode: SpoolLayout.fileMode, token: "\(QueueID.make(clock))")
        do throws(QueueError) {
            try unnamed.file.setMode(SpoolLayout.fileMode)
            try unnamed.file.write(header.bytes, at: 0)
            try directory.link(unnamed, as: name)
        } catch {
            directory.discard(unnamed)
            throw error
        }
        (end, frames, allocated) = (Int64(JournalFormat.headerLength), 0, Int64(JournalFormat.headerLength))
        open = unnamed.file
    }

    /// Goes on where a journal that was read ends; a torn tail is cut off.
    ///
    /// - Parameter seal: what the journal's header names.
    init(
        continuing contents: JournalFormat.Contents, name: String, in directory: Directory, _ seal: JournalSeal?
    ) throws(QueueError) {
        (self.name, self.directory, header, key) = (name, directory, contents.header, seal?.key)
        (end, frames, allocated) = (contents.end, contents.frames, contents.end)
        let file = try directory.open(name, flags: O_RDWR)
        try file.truncate(to: end)
        open = file
    }

    /// Goes on with a journal that got a new name.
    private init(_ other: JournalWriter, name: String) {
        (self.name, directory, header, key) = (name, other.directory, other.header, other.key)
        (end, frames, allocated) = (other.end, other.frames, other.allocated)
        (open, frameSealer) = (other.open, other.frameSealer)
    }

    /// The file to sync after a write.
    func file() throws(QueueError) -> OpenFile {
        if let open { return open }
        let file = try directory.open(name, flags: O_RDWR)
        open = file
        return file
    }

    /// Lets go of the descriptor while nothing is under way.
    func rest() { open = nil }

    /// Makes sure that `bytes` more can be written, whatever happens to the disk meanwhile.
    func reserve(_ bytes: Int64) throws(QueueError) {
        promised += bytes
        let needed = end + promised + FrameSealer.openingLength
        guard needed > allocated else { return }
        let target = (needed + Self.reserveStep) / Self.reserveStep * Self.reserveStep
        do throws(QueueError) {
            try file().reserve(offset: allocated, length: target - allocated)
        } catch {
            promised -= bytes
            throw error
        }
        allocated = target
    }

    /// Gives back what `reserve` promised.
    func release(_ bytes: Int64) { promised = max(0, promised - bytes) }

    /// Writes entries as one frame. Not durable before the Housekeeper synced the file that this returns.
    ///
    /// - Throws: QueueError `.refused` for more than a frame can hold: no reader would take it, nor what follows it.
    @discardableResult
    func append(_ entries: [JournalEntry]) throws(QueueError) -> OpenFile {
        let payload = JournalFormat.payload(entries)
        guard payload.count <= JournalFormat.payloadLimit else {
            throw QueueError(
                .refused, "write \(directory.path)/\(name)", explanation: "these are too many words for one entry.")
        }
        let file = try file()
        let (bytes, count) = try frames(payload)
        try file.write(bytes, at: end)
        end += Int64(bytes.count)
        frames += count
        frameSealer?.isOpened = true
        allocated = max(allocated, end)
        return file
    }

    /// The frame, behind an opening if it is the first that this writer seals.
    private func frames(_ payload: [UInt8]) throws(QueueError) -> (bytes: [UInt8], count: UInt64) {
        guard let key else { return (JournalFormat.frame(payload, number: frames, id: header.id), 1) }
        return try QueueError.onSegment("write \(directory.path)/\(name)") { () throws(SealError) in
            let sealer: FrameSealer
            if let frameSealer { sealer = frameSealer } else { sealer = try FrameSealer(key, header) }
            frameSealer = sealer
            guard !sealer.isOpened else { return (try sealer.frame(payload, number: frames), 1) }
            return (try sealer.opening(number: frames) + sealer.frame(payload, number: frames + 1), 2)
        }
    }

    /// A new journal with the whole state in place of the old one. Its content is durable; its name is with the next
    /// sync of the directory.
    static func replacing(
        _ name: String, with entries: [JournalEntry], in directory: Directory, segmentStamp: UInt64,
        _ seal: JournalSeal?, clock: any TimeSource
    ) throws(QueueError) -> JournalWriter {
        let temporary = name + temporarySuffix
        try directory.unlink(temporary)
        let new = try JournalWriter(
            creating: temporary, in: directory, segmentStamp: segmentStamp, seal, clock: clock)
        try new.appendAll(entries[...])
        try new.file().sync()
        try directory.replace(name, with: temporary)
        return JournalWriter(new, name: name)
    }

    /// Writes entries as many frames as they need.
    private func appendAll(_ entries: ArraySlice<JournalEntry>) throws(QueueError) {
        let step = 512
        for start in stride(from: entries.startIndex, to: entries.endIndex, by: step) {
            let part = Array(entries[start..<min(start + step, entries.endIndex)])
            do throws(QueueError) {
                try append(part)
            } catch {
                guard error.kind == .refused, part.count > 1 else { throw error }
                for entry in part { try append([entry]) }
            }
        }
    }

    /// What this journal says, read again; nil when the file of its name is not the one that this writer wrote: whoever
    /// can write in the folder can put another there while the runner runs, and its marks are not to be sealed.
    func readBack(keys: KeyRing?) throws(QueueError) -> JournalFormat.Contents? {
        let found = try Self.read(name, in: directory, keys: keys) ?? nil
        return found?.header == header ? found : nil
    }

    /// The whole file, read; nil when there is none. The inner nil: its header is broken.
    ///
    /// - Throws: QueueError `.newerFormat` for a journal that this program must leave alone; `.unknownKey`.
    static func read(
        _ name: String, in directory: Directory, keys: KeyRing?
    ) throws(QueueError) -> JournalFormat.Contents?? {
        guard let bytes = try content(name, in: directory) else { return nil }
        let found = try QueueError.onSegment("read \(directory.path)/\(name)") { () throws(SealError) in
            try JournalReader.read(bytes, keys: keys)
        }
        if let found { return .some(found) }
        guard !JournalFormat.isNewer(bytes) else {
            throw QueueError(
                .newerFormat, "read \(directory.path)/\(name)",
                explanation: "it was written by a newer Pouch. Install that again; its messages wait.")
        }
        return .some(nil)
    }

    /// Whether the file's name was durable before its header was: it never said anything.
    static func isUnwritten(_ name: String, in directory: Directory) throws(QueueError) -> Bool {
        try content(name, in: directory).map(JournalFormat.isUnwritten) ?? false
    }

    private static func content(_ name: String, in directory: Directory) throws(QueueError) -> [UInt8]? {
        guard let file = try directory.openIfThere(name, flags: O_RDONLY) else { return nil }
        let size = try file.size()
        guard size <= sizeLimit else {
            throw QueueError(
                .corrupt, "read \(file.path)", explanation: "it has \(size) octets, more than a journal ever has.")
        }
        return try file.read(Int(size), at: 0)
    }
}
