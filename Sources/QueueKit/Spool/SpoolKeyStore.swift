// Owns: the file `spool.key`: made once, replaced as a whole, never written in place. Refuses: what stands in it
// (SpoolKeyFile), passphrases.
//
// Order of making: unnamed file, owner, mode, content, sync; name (never over another's); sync of the directory. Order
// of replacing: the same under the name `spool.key.new`, then a rename over the old one, then the directory's sync.
// A crash leaves the old file or the new one, whole; a `spool.key.new` that stays is removed by the next replacement.

import Glibc
import MailModel
import SystemPackage

/// `spool.key` of one spool. Losing it loses every sealed message: nothing here removes it.
public struct SpoolKeyStore: Sendable {
    private static let newName = "spool.key.new"

    private let layout: SpoolLayout
    private let clock: any TimeSource
    private let syscalls: any Syscalls

    public init(_ layout: SpoolLayout, clock: any TimeSource = SystemClock(), syscalls: any Syscalls = LibC()) {
        (self.layout, self.clock, self.syscalls) = (layout, clock, syscalls)
    }

    public var path: String { "\(layout.root)/\(SpoolKeyFile.name)" }

    /// The file's bytes, for `SpoolKeyFile(_:)`; nil when there is no such file.
    ///
    /// - Throws: QueueError `.corrupt` for what is no regular file with one name; `.system` when it can't be read.
    public func read() throws(QueueError) -> [UInt8]? {
        let top = try Directory(layout.root, syscalls: syscalls)
        guard let file = try top.openIfThere(SpoolKeyFile.name, flags: O_RDONLY | O_NONBLOCK) else { return nil }
        let status = try file.status()
        guard status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1 else {
            throw QueueError(
                .corrupt, "read \(path)",
                explanation: "it is no regular file with one name. Restore it from its backup.")
        }
        return try file.read(SpoolKeyFile.sizeLimit + 1, at: 0)
    }

    /// Makes the file. It is durable when this returns true.
    ///
    /// - Returns: false when there is one already, which stays as it is.
    public func create(_ content: SpoolKeyFile, owners: SpoolOwners) throws(QueueError) -> Bool {
        let top = try Directory(layout.root, syscalls: syscalls)
        guard try top.status(of: SpoolKeyFile.name) == nil else { return false }
        do throws(QueueError) {
            try write(content, as: SpoolKeyFile.name, in: top, owners)
        } catch {
            guard error.cause == .fileExists else { throw error }
            return false
        }
        try top.sync()
        return true
    }

    /// Puts another content in the file's place: a generation more, or the same wrapped again.
    public func replace(with content: SpoolKeyFile, owners: SpoolOwners) throws(QueueError) {
        let top = try Directory(layout.root, syscalls: syscalls)
        try top.unlink(Self.newName)
        try write(content, as: Self.newName, in: top, owners)
        try top.replace(SpoolKeyFile.name, with: Self.newName)
        try top.sync()
    }

    private func write(
        _ content: SpoolKeyFile, as name: String, in top: Directory, _ owners: SpoolOwners
    ) throws(QueueError) {
        let unnamed = try top.openUnnamed(mode: SpoolKeyFile.mode, token: QueueID.make(clock).description)
        do throws(QueueError) {
            try SpoolLayout.own(unnamed.file, (owners.relayUID, owners.group))
            // After chown; umask has no say in fchmod.
            try unnamed.file.setMode(SpoolKeyFile.mode)
            try unnamed.file.write(content.rendered, at: 0)
            try unnamed.file.sync()
            try top.link(unnamed, as: name)
        } catch {
            top.discard(unnamed)
            throw error
        }
    }

    /// What differs from a file that `create` would make; nothing when there is none.
    public func faults(owners: SpoolOwners) throws(QueueError) -> [SpoolFault] {
        guard let status = try Directory(layout.root, syscalls: syscalls).status(of: SpoolKeyFile.name) else {
            return []
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            return [SpoolFault(path: path, kind: .notA(expected: "regular file"))]
        }
        var faults: [SpoolFault] = []
        let found = SpoolFault.Ownership(uid: status.st_uid, gid: status.st_gid)
        let expected = SpoolFault.Ownership(uid: owners.relayUID, gid: owners.group)
        if found != expected { faults.append(SpoolFault(path: path, kind: .owner(found: found, expected: expected))) }
        let mode = status.st_mode & 0o7777
        if mode != SpoolKeyFile.mode {
            faults.append(SpoolFault(path: path, kind: .mode(found: mode, expected: SpoolKeyFile.mode)))
        }
        return faults
    }

    /// Sets owner and mode; false for what is no regular file with one name.
    public func mend(owners: SpoolOwners) throws(QueueError) -> Bool {
        let top = try Directory(layout.root, syscalls: syscalls)
        let file = try top.open(SpoolKeyFile.name, flags: O_RDONLY | O_NONBLOCK)
        let status = try file.status()
        guard status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1 else { return false }
        try SpoolLayout.own(file, (owners.relayUID, owners.group))
        try file.setMode(SpoolKeyFile.mode)
        return true
    }
}
