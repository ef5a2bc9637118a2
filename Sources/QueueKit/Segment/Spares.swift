// Owns: segment files that are free to be used again. Refuses: reading what is left in them; no record of an earlier
// use passes the check of a new segment ID.
//
// A spare's blocks were all written once, so that fdatasync of a segment made from it has no metadata to write. States
// and their order: see Documentation/SPOOL.md. A crash in `take` leaves a spare with a header that nobody reads.

import Glibc
import MailModel

struct Spares: Sendable {
    /// A segment is closed at this size; spares are this large.
    static let segmentSize: Int64 = 16 << 20
    /// More than these are not kept: 64 MiB a directory.
    static let limit = 4
    static let prefix = "spare."

    let directory: Directory
    let clock: any TimeSource

    /// Makes a spare into the segment `name`: locks it, writes and syncs the new header, then renames.
    ///
    /// Only after the sync may the name change: a segment's name on an old header would bring old mail back. A spare
    /// that can't be used is passed over: a segment can always be made without one.
    func take(_ header: SegmentHeader, as name: SegmentName) throws(QueueError) -> OpenFile? {
        for spare in try directory.names() where spare.hasPrefix(Self.prefix) {
            do throws(QueueError) {
                guard let file = try directory.openIfThere(spare, flags: O_RDWR | O_NONBLOCK), try file.tryLock(),
                    try isUsable(file, spare)
                else { continue }
                try file.write(header.blocks, at: 0)
                try file.syncData()
                try directory.rename(spare, to: directory, name.description)
                return file
            } catch {
                continue
            }
        }
        return nil
    }

    private func isUsable(_ file: OpenFile, _ name: String) throws(QueueError) -> Bool {
        let status = try file.status()
        guard let named = try directory.status(of: name), named.st_ino == status.st_ino else { return false }
        return status.st_mode & S_IFMT == S_IFREG && status.st_nlink == 1 && status.st_uid == geteuid()
            && Int64(status.st_size) >= Self.segmentSize
    }

    /// Makes a new spare, all blocks written, unless there is one.
    func prepare() throws(QueueError) {
        guard try !directory.names().contains(where: { $0.hasPrefix(Self.prefix) }) else { return }
        try RoomFloor.check(directory.handle, octets: Int(Self.segmentSize))
        let token = QueueID.make(clock).description
        let unnamed = try directory.openUnnamed(mode: SpoolLayout.fileMode, token: token)
        do throws(QueueError) {
            try unnamed.file.setMode(SpoolLayout.fileMode)
            let zeros = [UInt8](repeating: 0, count: 1 << 20)
            for offset in stride(from: Int64(0), to: Self.segmentSize, by: zeros.count) {
                try unnamed.file.write(zeros, at: offset)
            }
            try unnamed.file.syncData()
            try directory.link(unnamed, as: Self.prefix + token)
        } catch {
            directory.discard(unnamed)
            throw error
        }
    }

    /// Keeps a retired segment as a spare when it is whole and there are few. False when it is to be removed.
    func keep(_ name: SegmentName) throws(QueueError) -> Bool {
        guard let status = try directory.status(of: name.description), Int64(status.st_size) >= Self.segmentSize,
            Int64(status.st_size) < Self.segmentSize * 2,
            try directory.names().count(where: { $0.hasPrefix(Self.prefix) }) < Self.limit
        else { return false }
        try directory.rename(name.description, to: directory, Self.prefix + QueueID.make(clock).description)
        return true
    }
}
