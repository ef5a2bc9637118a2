// Owns: names in one directory of the spool. Refuses: what the files behind the names mean.

import CLinux
import Glibc
import SystemPackage

/// A directory held open, so that a renamed or replaced path can't lead elsewhere.
public struct Directory: Sendable {
    let handle: OpenFile
    public var path: String { handle.path }
    var syscalls: any Syscalls { handle.syscalls }

    init(_ path: String, syscalls: any Syscalls) throws(QueueError) {
        handle = try OpenFile(directory: path, syscalls: syscalls)
    }

    init(_ handle: OpenFile) { self.handle = handle }

    init(_ name: String, in parent: Directory) throws(QueueError) {
        handle = try OpenFile(directory: name, in: parent.handle, syscalls: parent.syscalls)
    }

    /// All names, in no order.
    func names(file: String = #fileID, line: UInt = #line) throws(QueueError) -> [String] {
        let list = NameList()
        try handle.perform(.list(handle.fd, list), "list", file, line)
        return list.names
    }

    func open(
        _ name: String, flags: Int32, mode: UInt32 = 0, file: String = #fileID, line: UInt = #line
    ) throws(QueueError) -> OpenFile {
        try OpenFile(name, in: handle, flags: flags, mode: mode, syscalls: syscalls, file: file, line: line)
    }

    /// As `open`, but nil when there is no such name.
    func openIfThere(
        _ name: String, flags: Int32, file: String = #fileID, line: UInt = #line
    ) throws(QueueError) -> OpenFile? {
        do throws(QueueError) {
            return try open(name, flags: flags, file: file, line: line)
        } catch {
            if error.cause == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    /// An unnamed file: nothing of it is ever seen before `link`. Where the file system has none, a file named
    /// `tmp.*` that recovery removes.
    func openUnnamed(
        mode: UInt32, token: String, file: String = #fileID, line: UInt = #line
    ) throws(QueueError) -> UnnamedFile {
        do throws(QueueError) {
            let open = try open(".", flags: O_RDWR | pouch_o_tmpfile, mode: mode, file: file, line: line)
            return UnnamedFile(file: open, temporaryName: nil)
        } catch {
            guard error.cause == .notSupported || error.cause == .isDirectory || error.cause == .invalidArgument else {
                throw error
            }
        }
        let name = "tmp.\(token)"
        let open = try open(name, flags: O_RDWR | O_CREAT | O_EXCL, mode: mode, file: file, line: line)
        return UnnamedFile(file: open, temporaryName: name)
    }

    /// Gives an unnamed file its name. Never replaces another.
    func link(
        _ unnamed: UnnamedFile, as name: String, file: String = #fileID, line: UInt = #line
    ) throws(QueueError) {
        if let temporary = unnamed.temporaryName {
            return try rename(temporary, to: self, name, file: file, line: line)
        }
        try handle.perform(
            .linkUnnamed(unnamed.file.fd, directory: handle.fd, path: name), "create \(name) in", file, line)
    }

    /// Removes an unnamed file that will not get a name; what can't be removed is left to recovery.
    func discard(_ unnamed: UnnamedFile) {
        guard let name = unnamed.temporaryName else { return }
        try? unlink(name)
    }

    /// Never replaces an existing name.
    func rename(
        _ old: String, to other: Directory, _ new: String, file: String = #fileID, line: UInt = #line
    ) throws(QueueError) {
        try handle.perform(
            .rename(from: handle.fd, old, to: other.handle.fd, new), "rename \(old) to \(other.path)/\(new) in", file,
            line)
    }

    func replace(
        _ old: String, with new: String, file: String = #fileID, line: UInt = #line
    ) throws(QueueError) {
        try handle.perform(.replace(from: handle.fd, new, to: handle.fd, old), "replace \(old) in", file, line)
    }

    /// Removing what is gone already is a success.
    func unlink(_ name: String, file: String = #fileID, line: UInt = #line) throws(QueueError) {
        do throws(QueueError) {
            try handle.perform(.unlink(directory: handle.fd, path: name), "remove \(name) from", file, line)
        } catch {
            if error.cause != .noSuchFileOrDirectory { throw error }
        }
    }

    /// lstat(2); nil when there is no such name.
    func status(of name: String, file: String = #fileID, line: UInt = #line) throws(QueueError) -> stat? {
        var result = stat()
        do throws(QueueError) {
            try withUnsafeMutablePointer(to: &result) { (into) throws(QueueError) in
                _ = try handle.perform(
                    .fstatat(directory: handle.fd, path: name, into), "examine \(name) in", file, line)
            }
            return result
        } catch {
            if error.cause == .noSuchFileOrDirectory { return nil }
            throw error
        }
    }

    /// Makes the names of this directory durable.
    func sync(file: String = #fileID, line: UInt = #line) throws(QueueError) {
        try handle.sync(file: file, line: line)
    }
}

/// A file that has no name yet, or only one that recovery removes.
struct UnnamedFile {
    let file: OpenFile
    let temporaryName: String?
}
