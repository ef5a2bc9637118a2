// Owns: finding or making the directories of a Maildir, as the user whom it belongs to. Refuses: following a symbolic
// link at tmp, new and cur, and at anything it has just made; making a home.

import CLinux
import CommandKit
import Glibc
import SystemPackage

/// A Maildir held by descriptors: whatever becomes of its path, files go where they were meant to go.
final class Maildir {
    let path: String
    let tmp: Int32
    let new: Int32

    /// Opens the Maildir and makes what is missing of it, each directory 0700 and synced into its parent.
    /// - Parameters:
    ///   - path: absolute, without `.` and `..`.
    ///   - home: must exist when `path` lies in it.
    init(path: String, home: String) throws(DeliveryFailure) {
        self.path = path
        let root = try Self.openRoot(path, home: home)
        defer { close(root.descriptor) }
        var opened: [Int32] = []
        do throws(DeliveryFailure) {
            for name in ["tmp", "new", "cur"] { opened.append(try Self.enter(name, of: root)) }
        } catch {
            for descriptor in opened { close(descriptor) }
            throw error
        }
        (tmp, new) = (opened[0], opened[1])
        // Readers look for cur; nothing of ours goes there.
        close(opened[2])
    }

    deinit {
        close(new)
        close(tmp)
    }

    private struct Directory {
        let descriptor: Int32
        let path: String
    }

    private static let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC

    private static func openRoot(_ path: String, home: String) throws(DeliveryFailure) -> Directory {
        let homeParts = home.split(separator: "/")
        let parts = path.split(separator: "/")
        guard !parts.contains(where: { $0 == "." || $0 == ".." }) else {
            throw DeliveryFailure(550, .init(5, 1, 3), "the path \(path) of the mailbox leads upwards")
        }
        let isInHome = parts.starts(with: homeParts)
        let base = isInHome ? "/" + homeParts.joined(separator: "/") : "/"
        let descriptor = open(base, flags)
        guard descriptor >= 0 else { throw DeliveryFailure("open \(base)", .lastCall) }
        var current = Directory(descriptor: descriptor, path: base == "/" ? "" : base)
        for part in parts.dropFirst(isInHome ? homeParts.count : 0) {
            let parent = current
            defer { close(parent.descriptor) }
            current = Directory(
                descriptor: try enter(String(part), of: parent, mayBeLink: true), path: "\(parent.path)/\(part)")
        }
        return current
    }

    /// - Parameter mayBeLink: for what leads to the Maildir: a user may keep mail elsewhere.
    private static func enter(
        _ name: String, of parent: Directory, mayBeLink: Bool = false
    ) throws(DeliveryFailure) -> Int32 {
        let path = "\(parent.path)/\(name)"
        let found = pouch_openat(parent.descriptor, name, flags | (mayBeLink ? 0 : O_NOFOLLOW), 0)
        if found >= 0 { return found }
        guard errno == ENOENT else { throw DeliveryFailure("open \(path)", .lastCall) }
        // EEXIST: another delivery made it at this moment; or a link that leads nowhere, which the next open refuses.
        guard mkdirat(parent.descriptor, name, 0o700) == 0 || errno == EEXIST else {
            throw DeliveryFailure("make \(path)", .lastCall)
        }
        guard fsync(parent.descriptor) == 0 else { throw DeliveryFailure("sync \(parent.path)", .lastCall) }
        let made = pouch_openat(parent.descriptor, name, flags | O_NOFOLLOW, 0)
        guard made >= 0 else { throw DeliveryFailure("open \(path)", .lastCall) }
        return made
    }
}
