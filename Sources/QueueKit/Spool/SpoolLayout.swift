// Owns: every path of the spool with its owner and mode, creating it and checking it. Refuses: files of mail, users by
// name (numbers are handed in).

import CLinux
import Glibc
import MailModel
import SystemPackage

/// Whose uids and groups the spool has. The same uid everywhere when one user runs all programs.
public struct SpoolOwners: Hashable, Sendable {
    public var relayUID: UInt32
    public var listenerUID: UInt32
    /// Group `pouch`: the runner and operators; the listener is no member.
    public var group: UInt32

    public init(relayUID: UInt32, listenerUID: UInt32, group: UInt32) {
        (self.relayUID, self.listenerUID, self.group) = (relayUID, listenerUID, group)
    }

    /// Everything belongs to whoever calls.
    public static var caller: SpoolOwners {
        SpoolOwners(relayUID: geteuid(), listenerUID: geteuid(), group: getegid())
    }
}

/// The places of the spool.
public struct SpoolLayout: Hashable, Sendable {
    /// Absolute, without a slash at its end.
    public let root: String

    public init(root: String) { self.root = root.count > 1 && root.hasSuffix("/") ? String(root.dropLast()) : root }

    public enum Place: String, CaseIterable, Sendable {
        case offline, incoming, queue, quarantine, run
    }

    public func path(_ place: Place) -> String { "\(root)/\(place.rawValue)" }
    public var meta: String { "\(root)/spool.meta" }
    public var trigger: String { "\(root)/trigger" }
    /// Held locked by mail-supervise.
    public var supervisorPID: String { "\(root)/run/supervise.pid" }
    public var controlSocket: String { "\(root)/run/control" }

    /// Files of mail: readable by operators, written by their owner (DESIGN §3).
    static let fileMode: UInt32 = 0o640
    /// Drops are never written again.
    static let dropMode: UInt32 = 0o440
    static let rootMode: UInt32 = 0o711
    static let triggerMode: UInt32 = 0o622

    static func mode(of place: Place) -> UInt32 {
        switch place {
        // Anyone may create; nobody may list or remove what others created.
        case .offline: 0o3773
        // Setgid: what is created here belongs to group pouch, whoever creates it.
        case .incoming, .queue, .quarantine: 0o2770
        case .run: 0o755
        }
    }

    static func owner(of place: Place, _ owners: SpoolOwners) -> (uid: UInt32, gid: UInt32) {
        switch place {
        case .offline, .queue, .quarantine, .run: (owners.relayUID, owners.group)
        case .incoming: (owners.listenerUID, owners.group)
        }
    }

    /// Creates what is missing and leaves what is there, mail above all, as it is. Owners are set only by root. Where
    /// `spool.meta`, which comes last, is missing too, an earlier `create` may have been cut off: then what still has the
    /// mode it is first made with gets its own. Anything else is for `faults` and `mend`.
    ///
    /// - Returns: whether the spool is new.
    /// - Throws: QueueError that names the path that could not be made.
    @discardableResult
    public func create(
        owners: SpoolOwners, clock: any TimeSource = SystemClock(), syscalls: any Syscalls = LibC()
    ) throws(QueueError) -> Bool {
        try makeParents(syscalls)
        let top = try makeDirectory(root, in: nil, mode: Self.rootMode, (owners.relayUID, owners.group), syscalls)
        let isUnfinished = try Directory(top).status(of: SpoolMeta.name) == nil
        if isUnfinished, try top.status().st_mode & 0o777 == 0o700 {
            try Self.own(top, (owners.relayUID, owners.group))
            try top.setMode(Self.rootMode)
        }
        for place in Place.allCases {
            try makeDirectory(
                place.rawValue, in: top, mode: Self.mode(of: place), Self.owner(of: place, owners), syscalls,
                finishing: isUnfinished)
        }
        try makeTrigger(in: top, owners, finishing: isUnfinished)
        return try SpoolMeta.createIfMissing(in: Directory(root, syscalls: syscalls), owners: owners, clock: clock)
    }

    /// The folders above the root, as mkdir -p makes them.
    private func makeParents(_ syscalls: any Syscalls) throws(QueueError) {
        let names = root.split(separator: "/").dropLast()
        var path = ""
        for name in names {
            path += "/\(name)"
            do throws(Errno) {
                _ = try syscalls.perform(
                    .mkdir(directory: AT_FDCWD, path: path, mode: 0o755), at: CallSite(file: #fileID, line: #line))
            } catch {
                guard error == .fileExists || error == .readOnlyFileSystem || error == .permissionDenied else {
                    throw QueueError(.system, "create \(path)", cause: error)
                }
            }
        }
    }

    @discardableResult
    private func makeDirectory(
        _ name: String, in parent: OpenFile?, mode: UInt32, _ owner: (uid: UInt32, gid: UInt32),
        _ syscalls: any Syscalls, finishing: Bool = false
    ) throws(QueueError) -> OpenFile {
        let full = parent.map { "\($0.path)/\(name)" } ?? name
        do throws(Errno) {
            _ = try syscalls.perform(
                .mkdir(directory: parent?.fd ?? AT_FDCWD, path: name, mode: 0o700),
                at: CallSite(file: #fileID, line: #line))
        } catch {
            guard error == .fileExists else { throw QueueError(.system, "create \(full)", cause: error) }
            let found = try OpenFile(directory: name, in: parent, syscalls: syscalls)
            guard finishing, try found.status().st_mode & 0o777 == 0o700 else { return found }
        }
        let made = try OpenFile(directory: name, in: parent, syscalls: syscalls)
        try Self.own(made, owner)
        // After chown, which clears set-id bits; umask has no say in fchmod.
        try made.setMode(mode)
        try syncParent(of: name, parent, syscalls)
        return made
    }

    /// A spool whose own name is lost with the power is lost with all its mail. The folder above may not be ours to
    /// open: then whoever made it vouches for it.
    private func syncParent(of name: String, _ parent: OpenFile?, _ syscalls: any Syscalls) throws(QueueError) {
        if let parent { return try parent.sync() }
        let above = name.split(separator: "/").dropLast().joined(separator: "/")
        do throws(QueueError) {
            try OpenFile(directory: "/\(above)", syscalls: syscalls).sync()
        } catch {
            guard error.cause == .permissionDenied else { throw error }
        }
    }

    private func makeTrigger(in top: OpenFile, _ owners: SpoolOwners, finishing: Bool) throws(QueueError) {
        do throws(Errno) {
            _ = try top.syscalls.perform(
                .mkfifo(directory: top.fd, path: "trigger", mode: 0o600), at: CallSite(file: #fileID, line: #line))
        } catch {
            guard error == .fileExists else { throw QueueError(.system, "create \(trigger)", cause: error) }
            guard finishing, let found = try Directory(top).status(of: "trigger"), found.st_mode & S_IFMT == S_IFIFO,
                found.st_mode & 0o777 == 0o600
            else { return }
        }
        let fifo = try OpenFile("trigger", in: top, flags: O_RDWR | O_NONBLOCK, syscalls: top.syscalls)
        try Self.own(fifo, (owners.relayUID, owners.group))
        try fifo.setMode(Self.triggerMode)
    }

    static func own(_ file: OpenFile, _ owner: (uid: UInt32, gid: UInt32)) throws(QueueError) {
        let now = try file.status()
        guard now.st_uid != owner.uid || now.st_gid != owner.gid else { return }
        try file.setOwner(uid: owner.uid, gid: owner.gid)
    }
}
