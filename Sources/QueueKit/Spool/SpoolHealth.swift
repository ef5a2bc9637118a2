// Owns: whether the places of a spool are there with the owners and modes they must have, and mending them. Refuses:
// files of mail, users by name (numbers are handed in), creating (SpoolLayout).

import Glibc
import MailModel

/// A place of the spool that is not as it must be.
public struct SpoolFault: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case missing
        /// Something else has the name; `expected` is `directory`, `FIFO` or `regular file`.
        case notA(expected: String)
        case owner(found: Ownership, expected: Ownership)
        /// The permission bits with setuid, setgid and sticky.
        case mode(found: UInt32, expected: UInt32)
    }

    public struct Ownership: Hashable, Sendable {
        public var uid: UInt32
        public var gid: UInt32
    }

    public var path: String
    public var kind: Kind
}

extension SpoolLayout {
    /// A name of the spool and how it must be; nil is the spool itself.
    private struct Item {
        var name: String?
        var type: UInt32
        var mode: UInt32
        var owner: SpoolFault.Ownership

        var typeName: String {
            switch type {
            case S_IFDIR: "directory"
            case S_IFIFO: "FIFO"
            default: "regular file"
            }
        }
    }

    private func items(_ owners: SpoolOwners) -> [Item] {
        let runner = SpoolFault.Ownership(uid: owners.relayUID, gid: owners.group)
        var items = [Item(name: nil, type: S_IFDIR, mode: Self.rootMode, owner: runner)]
        for place in Place.allCases {
            let owner = Self.owner(of: place, owners)
            items.append(
                Item(
                    name: place.rawValue, type: S_IFDIR, mode: Self.mode(of: place),
                    owner: .init(uid: owner.uid, gid: owner.gid)))
        }
        items.append(Item(name: "trigger", type: S_IFIFO, mode: Self.triggerMode, owner: runner))
        items.append(Item(name: SpoolMeta.name, type: S_IFREG, mode: SpoolMeta.mode, owner: runner))
        return items
    }

    /// What differs from a spool that `create` would make; nothing is changed.
    ///
    /// - Throws: QueueError when the spool can't be looked into.
    public func faults(
        owners: SpoolOwners, syscalls: any Syscalls = LibC()
    ) throws(QueueError) -> [SpoolFault] {
        let items = items(owners)
        let top: Directory
        do throws(QueueError) {
            top = try Directory(root, syscalls: syscalls)
        } catch {
            switch error.cause {
            case .noSuchFileOrDirectory: return [SpoolFault(path: root, kind: .missing)]
            case .notDirectory, .tooManySymbolicLinkLevels:
                return [SpoolFault(path: root, kind: .notA(expected: "directory"))]
            default: throw error
            }
        }
        var faults: [SpoolFault] = []
        for item in items {
            let status = item.name == nil ? try top.handle.status() : try top.status(of: item.name ?? "")
            faults += self.faults(of: item, status)
        }
        return faults
    }

    private func faults(of item: Item, _ status: stat?) -> [SpoolFault] {
        let path = item.name.map { "\(root)/\($0)" } ?? root
        guard let status else { return [SpoolFault(path: path, kind: .missing)] }
        guard status.st_mode & S_IFMT == item.type else {
            return [SpoolFault(path: path, kind: .notA(expected: item.typeName))]
        }
        var faults: [SpoolFault] = []
        let found = SpoolFault.Ownership(uid: status.st_uid, gid: status.st_gid)
        if found != item.owner {
            faults.append(SpoolFault(path: path, kind: .owner(found: found, expected: item.owner)))
        }
        let mode = status.st_mode & 0o7777
        if mode != item.mode { faults.append(SpoolFault(path: path, kind: .mode(found: mode, expected: item.mode))) }
        return faults
    }

    /// Sets the owner and the mode that a place must have. What is missing is made by `create`; what has the wrong type
    /// is left to a person, for it may be anything.
    ///
    /// - Returns: whether it was mended.
    public func mend(
        _ fault: SpoolFault, owners: SpoolOwners, syscalls: any Syscalls = LibC()
    ) throws(QueueError) -> Bool {
        switch fault.kind {
        case .missing, .notA: return false
        case .owner, .mode: break
        }
        guard let item = items(owners).first(where: { $0.name.map { "\(root)/\($0)" } ?? root == fault.path }) else {
            return false
        }
        let file = try open(item, syscalls)
        let status = try file.status()
        // A second name would let whoever owns the spool give away a file that lies elsewhere.
        guard status.st_mode & S_IFMT == item.type, item.type == S_IFDIR || status.st_nlink == 1 else { return false }
        try Self.own(file, (item.owner.uid, item.owner.gid))
        // After chown, which clears set-id bits.
        try file.setMode(item.mode)
        return true
    }

    /// Never through a symbolic link, never waiting for the other end of a FIFO.
    private func open(_ item: Item, _ syscalls: any Syscalls) throws(QueueError) -> OpenFile {
        let top = try OpenFile(directory: root, syscalls: syscalls)
        guard let name = item.name else { return top }
        let flags = item.type == S_IFDIR ? O_RDONLY | O_DIRECTORY : O_RDONLY | O_NONBLOCK
        return try OpenFile(name, in: top, flags: flags, syscalls: syscalls)
    }
}
