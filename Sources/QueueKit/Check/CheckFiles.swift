// Owns: how a check opens things of the spool: each kind of file in one place. Refuses: judging them; locks that last.

import Glibc
import MailModel
import SystemPackage

struct CheckFiles {
    let keys: KeyRing?
    let queue: Directory
    let incoming: Directory
    let offline: Directory
    let quarantine: Directory

    init(_ layout: SpoolLayout, _ keys: KeyRing?, _ syscalls: any Syscalls) throws(QueueError) {
        self.keys = keys
        queue = try Directory(layout.path(.queue), syscalls: syscalls)
        incoming = try Directory(layout.path(.incoming), syscalls: syscalls)
        offline = try Directory(layout.path(.offline), syscalls: syscalls)
        quarantine = try Directory(layout.path(.quarantine), syscalls: syscalls)
    }

    enum Opened {
        case gone
        case notRegular
        case file(OpenFile, stat)
    }

    /// Never through a symbolic link, never waiting.
    func open(_ name: String, in directory: Directory) throws(QueueError) -> Opened {
        do throws(QueueError) {
            guard let file = try directory.openIfThere(name, flags: O_RDONLY | O_NONBLOCK) else { return .gone }
            let status = try file.status()
            return status.st_mode & S_IFMT == S_IFREG ? .file(file, status) : .notRegular
        } catch {
            guard [.tooManySymbolicLinkLevels, .noSuchAddressOrDevice].contains(error.cause) else { throw error }
            return .notRegular
        }
    }

    /// Whether nobody writes the file: the lock is tried for an instant.
    func isDead(_ file: OpenFile) throws(QueueError) -> Bool {
        guard try file.trySharedLock() else { return false }
        try file.unlock()
        return true
    }

    func segment(_ file: OpenFile, in place: SpoolLayout.Place) throws(QueueError) -> SegmentReader {
        try SegmentReader(file, in: place, keys: keys)
    }

    /// Nil when there is none; the inner nil: its header is broken.
    func journal(_ name: String) throws(QueueError) -> JournalFormat.Contents?? {
        try JournalWriter.read(name, in: queue, keys: keys)
    }

    /// False for a sealed file when there are no keys at all.
    func canRead(_ file: OpenFile) throws(QueueError) -> Bool {
        if keys != nil { return true }
        return try !isSealed(file)
    }

    /// Whether the file says that it is sealed, by its magic and the flag that segments and journals have in common.
    func isSealed(_ file: OpenFile) throws(QueueError) -> Bool {
        let start = try file.read(12, at: 0)
        guard start.starts(with: SegmentHeader.magic) || start.starts(with: JournalFormat.magic),
            let flags: UInt16 = start.integer(at: 10)
        else { return false }
        return flags & SegmentHeader.Flags.sealed.rawValue != 0
    }
}
