// Owns: how much room new mail leaves on the spool's file system, so that what is queued already keeps flowing:
// journals, DSNs, copies of drops. Refuses: keeping the runner from that room.

import Glibc
import SystemPackage

/// The room that new mail may not take.
enum RoomFloor {
    /// One part of so many of the file system stays free, of its octets and its inodes...
    private static let parts: UInt64 = 20
    /// ...but no more than this: four segments' worth, as many as are kept as spares.
    private static let mostOctets = UInt64(Spares.segmentSize) * UInt64(Spares.limit)
    private static let mostInodes: UInt64 = 1000

    /// Looks at the file system that a file or directory is on. What can't be told is no obstacle: the write will tell.
    ///
    /// - Parameter octets: what is about to be written.
    /// - Throws: QueueError with ENOSPC when less would be left than is kept for queued mail.
    static func check(
        _ place: OpenFile, octets: Int = 0, file: String = #fileID, line: UInt = #line
    ) throws(QueueError) {
        var room = statvfs()
        let isKnown = withUnsafeMutablePointer(to: &room) { into in
            (try? place.syscalls.perform(.room(place.fd, into), at: CallSite(file: file, line: line))) != nil
        }
        guard isKnown, let shortage = shortage(room, octets: UInt64(max(0, octets))) else { return }
        throw QueueError(
            .system, "take new mail in \(place.path)", cause: .noSpace,
            explanation:
                "\(shortage) for what is queued already. Make room there; everything goes on by itself then.")
    }

    /// What is short, in the words of a sentence; nil when all is well.
    static func shortage(_ room: statvfs, octets: UInt64) -> String? {
        let unit = UInt64(room.f_frsize)
        let kept = min(UInt64(room.f_blocks) * unit / parts, mostOctets)
        let free = UInt64(room.f_bavail) * unit
        if free < kept + octets {
            return "its file system has \(free >> 10) KiB left, and \(kept >> 10) KiB of it are kept"
        }
        // Without a table of inodes there is no lack of them.
        let keptInodes = min(UInt64(room.f_files) / parts, mostInodes)
        if UInt64(room.f_favail) < keptInodes {
            return "its file system has \(room.f_favail) inodes left, and \(keptInodes) of them are kept"
        }
        return nil
    }
}
