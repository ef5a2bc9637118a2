// Owns: every call of QueueKit to the operating system about files. Refuses: retrying, interpreting, sentences: a call
// succeeds or gives its errno (OpenFile and QueueError make sense of it).
//
// All calls pass through one function, `perform`, with the place they come from. A test replaces it to fail the n-th
// call, to stop the world there, or to record what was written and synced.

import CLinux
import Glibc
import SystemPackage

/// One call. Pointers are valid for the time of `perform` only.
public enum Operation {
    case open(directory: Int32, path: String, flags: Int32, mode: UInt32)
    case close(Int32)
    case pread(Int32, UnsafeMutableRawBufferPointer, offset: Int64)
    case pwrite(Int32, UnsafeRawBufferPointer, offset: Int64)
    case write(Int32, UnsafeRawBufferPointer)
    case fdatasync(Int32)
    case fsync(Int32)
    case ftruncate(Int32, Int64)
    case fallocate(Int32, offset: Int64, length: Int64)
    case fstat(Int32, UnsafeMutablePointer<stat>)
    case fstatat(directory: Int32, path: String, UnsafeMutablePointer<stat>)
    case fchmod(Int32, UInt32)
    case fchown(Int32, uid: UInt32, gid: UInt32)
    case flock(Int32, Int32)
    /// Gives an unnamed file its name, through its entry in /proc.
    case linkUnnamed(Int32, directory: Int32, path: String)
    /// Never replaces an existing name.
    case rename(from: Int32, String, to: Int32, String)
    /// Replaces an existing name.
    case replace(from: Int32, String, to: Int32, String)
    case unlink(directory: Int32, path: String)
    case mkdir(directory: Int32, path: String, mode: UInt32)
    case mkfifo(directory: Int32, path: String, mode: UInt32)
    case list(Int32, NameList)
    /// fstatvfs(3).
    case room(Int32, UnsafeMutablePointer<statvfs>)
}

/// Where `list` puts the names it finds.
public final class NameList {
    public var names: [String] = []
    public init() {}
}

/// The line that asked for a call: faults are counted by it.
public struct CallSite: Hashable, Sendable, CustomStringConvertible {
    public let file: String
    public let line: UInt
    public var description: String { "\(file):\(line)" }
}

public protocol Syscalls: Sendable {
    /// Makes the call. Returns its result: a descriptor, a count of bytes, or zero.
    func perform(_ operation: Operation, at site: CallSite) throws(Errno) -> Int
}

/// The operating system itself.
public struct LibC: Syscalls {
    public init() {}

    public func perform(_ operation: Operation, at site: CallSite) throws(Errno) -> Int {
        while true {
            let result = Self.call(operation)
            if result >= 0 { return result }
            let error = Errno(rawValue: errno)
            // A close that was interrupted has closed all the same (Linux): asking again could close another's file.
            if error != .interrupted { throw error }
            if case .close = operation { return 0 }
        }
    }

    private static func call(_ operation: Operation) -> Int {
        switch operation {
        case .open(let directory, let path, let flags, let mode):
            Int(pouch_openat(directory, path, flags, mode))
        case .close(let file): Int(Glibc.close(file))
        case .pread(let file, let buffer, let offset):
            Glibc.pread(file, buffer.baseAddress, buffer.count, Int(offset))
        case .pwrite(let file, let buffer, let offset):
            Glibc.pwrite(file, buffer.baseAddress, buffer.count, Int(offset))
        case .write(let file, let buffer): Glibc.write(file, buffer.baseAddress, buffer.count)
        case .fdatasync(let file): Int(Glibc.fdatasync(file))
        case .fsync(let file): Int(Glibc.fsync(file))
        case .ftruncate(let file, let size): Int(Glibc.ftruncate(file, Int(size)))
        case .fallocate(let file, let offset, let length): Int(pouch_fallocate(file, offset, length))
        case .fstat(let file, let into): Int(Glibc.fstat(file, into))
        case .fstatat(let directory, let path, let into):
            Int(Glibc.fstatat(directory, path, into, AT_SYMLINK_NOFOLLOW))
        case .fchmod(let file, let mode): Int(Glibc.fchmod(file, mode))
        case .fchown(let file, let uid, let gid): Int(Glibc.fchown(file, uid, gid))
        case .flock(let file, let how): Int(flock(file, how))
        case .linkUnnamed(let file, let directory, let path):
            Int(linkat(AT_FDCWD, "/proc/self/fd/\(file)", directory, path, AT_SYMLINK_FOLLOW))
        case .rename(let from, let old, let to, let new):
            Int(pouch_rename_noreplace(from, old, to, new))
        case .replace(let from, let old, let to, let new): Int(renameat(from, old, to, new))
        case .unlink(let directory, let path): Int(unlinkat(directory, path, 0))
        case .mkdir(let directory, let path, let mode): Int(mkdirat(directory, path, mode))
        case .mkfifo(let directory, let path, let mode): Int(mkfifoat(directory, path, mode))
        case .list(let file, let into): list(file, into)
        case .room(let file, let into): Int(fstatvfs(file, into))
        }
    }

    /// Reads a directory from its start, through a descriptor of its own (a directory's position is shared by dup).
    private static func list(_ file: Int32, _ into: NameList) -> Int {
        let own = pouch_openat(file, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard own >= 0 else { return -1 }
        guard let stream = fdopendir(own) else {
            _ = Glibc.close(own)
            return -1
        }
        defer { closedir(stream) }
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { into.names.append(name) }
            errno = 0
        }
        return errno == 0 ? into.names.count : -1
    }
}
