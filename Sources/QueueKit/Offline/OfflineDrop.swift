// Owns: what mail-enqueue does to the spool: one file in `offline/`, complete and durable, or nothing. Refuses: reading
// anything of the spool, and any right beyond creating that file.
//
// Order: unnamed file, mode, lock, content; name (random, not the queue ID); one sync of the file. `offline/` can't be
// opened by its users to be synced; the file's own sync carries its new name with it. The instant of commit is the
// return of that sync. If it fails the drop is unlinked again: done is «not stored», gone already means that the runner
// has it, which is «stored».

import CLinux
import Glibc
import MailModel

/// A message being submitted.
public final class OfflineDrop {
    private let directory: Directory
    private let segment: SingleSegment
    private let clock: any TimeSource
    private let layout: SpoolLayout

    /// - Throws: QueueError `.missing` when there is no spool, or what stands in the way of creating the file.
    public init(
        _ layout: SpoolLayout, _ envelope: Envelope, protection: Protection = .none,
        clock: any TimeSource = SystemClock(),
        syscalls: any Syscalls = LibC()
    ) throws(QueueError) {
        _ = try SpoolMeta.read(layout, syscalls: syscalls)
        (self.layout, self.clock) = (layout, clock)
        directory = Directory(
            try OpenFile(
                layout.path(.offline), flags: pouch_o_path | O_DIRECTORY, syscalls: syscalls))
        try RoomFloor.check(directory.handle)
        segment = try SingleSegment(
            in: directory, role: .submitter, mode: SpoolLayout.dropMode, protection, clock: clock)
        do throws(QueueError) {
            try segment.write(StoredEnvelope(envelope))
        } catch {
            segment.abort()
            throw error
        }
    }

    /// Adds content: lines ending with CRLF.
    public func append(_ bytes: [UInt8]) throws(QueueError) {
        // Each piece, for a large message may be larger than what is left.
        try RoomFloor.check(directory.handle, octets: bytes.count)
        try segment.append(bytes)
    }

    /// Makes the drop durable and wakes the runner. After it returns, the message is Pouch's.
    public func commit() throws(QueueError) {
        do throws(QueueError) {
            _ = try segment.finish()
        } catch {
            segment.abort()
            throw error
        }
        let name = "\(QueueID.make(clock)).drop"
        do throws(QueueError) {
            try segment.link(as: name)
        } catch {
            segment.abort()
            throw error
        }
        do throws(QueueError) {
            try segment.sync()
        } catch {
            guard try takeBack(name) else { return }
            throw error
        }
        // Before the trigger: the runner leaves a locked drop alone.
        try? segment.unlock()
        TriggerWriter(layout, syscalls: directory.syscalls).pull()
    }

    /// Removes the drop again; false when the runner has it already.
    private func takeBack(_ name: String) throws(QueueError) -> Bool {
        guard try directory.status(of: name) != nil else { return false }
        try directory.unlink(name)
        return true
    }

    /// The message is forgotten; nothing of it was ever visible.
    public func abort() { segment.abort() }
}
