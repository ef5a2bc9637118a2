// Owns: an open descriptor with its path and its calls, errors told as QueueError. Refuses: knowing what the file
// means.

import Glibc
import SystemPackage

/// A file or directory held open; closed when the last reference goes. Safe to use from several threads: every call
/// names its offset.
public final class OpenFile: Sendable {
    public let fd: Int32
    public let path: String
    let syscalls: any Syscalls

    /// Takes over `fd`.
    init(taking fd: Int32, path: String, syscalls: any Syscalls) {
        (self.fd, self.path, self.syscalls) = (fd, path, syscalls)
    }

    deinit {
        // Nothing is lost when closing fails: whatever had to be durable was synced before.
        _ = try? syscalls.perform(.close(fd), at: CallSite(file: #fileID, line: #line))
    }

    /// Opens a path, relative to `directory` when given. O_CLOEXEC and O_NOFOLLOW are always added.
    convenience init(
        _ path: String, in directory: OpenFile? = nil, flags: Int32, mode: UInt32 = 0, syscalls: any Syscalls,
        file: String = #fileID, line: UInt = #line
    ) throws(QueueError) {
        let full = directory.map { "\($0.path)/\(path)" } ?? path
        let fd: Int
        do throws(Errno) {
            fd = try syscalls.perform(
                .open(
                    directory: directory?.fd ?? AT_FDCWD, path: path, flags: flags | O_CLOEXEC | O_NOFOLLOW, mode: mode),
                at: CallSite(file: file, line: line))
        } catch {
            throw QueueError(.system, "open \(full)", cause: error)
        }
        self.init(taking: Int32(fd), path: full, syscalls: syscalls)
    }

    /// Opens a directory.
    convenience init(
        directory path: String, in parent: OpenFile? = nil, syscalls: any Syscalls, file: String = #fileID,
        line: UInt = #line
    ) throws(QueueError) {
        try self.init(
            path, in: parent, flags: O_RDONLY | O_DIRECTORY, syscalls: syscalls, file: file, line: line)
    }

    @discardableResult
    func perform(_ operation: Operation, _ verb: String, _ file: String, _ line: UInt) throws(QueueError) -> Int {
        do throws(Errno) {
            return try syscalls.perform(operation, at: CallSite(file: file, line: line))
        } catch {
            throw QueueError(.system, "\(verb) \(path)", cause: error)
        }
    }

    // MARK: Content

    /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file.
    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int64, file: String = #fileID, line: UInt = #line
    ) throws(QueueError) -> Int {
        var done = 0
        while done < buffer.count {
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = try perform(.pread(fd, part, offset: offset + Int64(done)), "read", file, line)
            if count == 0 { break }
            done += count
        }
        return done
    }

    /// Reads `count` bytes at `offset`; fewer only at the end of the file.
    func read(_ count: Int, at offset: Int64, file: String = #fileID, line: UInt = #line) throws(QueueError) -> [UInt8]
    {
        var failure: QueueError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let into = UnsafeMutableRawBufferPointer(buffer)
            switch Result(catching: { () throws(QueueError) in try read(into: into, at: offset, file: file, line: line)
            })
            {
            case .success(let count): filled = count
            case .failure(let error): failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    func write(_ bytes: [UInt8], at offset: Int64, file: String = #fileID, line: UInt = #line) throws(QueueError) {
        let result = bytes.withUnsafeBytes { all in
            Result { () throws(QueueError) in try write(all, at: offset, file: file, line: line) }
        }
        try result.get()
    }

    func write(
        _ all: UnsafeRawBufferPointer, at offset: Int64, file: String = #fileID, line: UInt = #line
    ) throws(QueueError) {
        var done = 0
        while done < all.count {
            let part = UnsafeRawBufferPointer(rebasing: all[done...])
            let count = try perform(.pwrite(fd, part, offset: offset + Int64(done)), "write", file, line)
            guard count > 0 else { throw QueueError(.system, "write \(path)", cause: .ioError) }
            done += count
        }
    }

    /// Data, and what is needed to find it again.
    func syncData(file: String = #fileID, line: UInt = #line) throws(QueueError) {
        try perform(.fdatasync(fd), "sync", file, line)
    }

    /// Everything; for a directory, its names.
    func sync(file: String = #fileID, line: UInt = #line) throws(QueueError) {
        try perform(.fsync(fd), "sync", file, line)
    }

    func truncate(to size: Int64, file: String = #fileID, line: UInt = #line) throws(QueueError) {
        try perform(.ftruncate(fd, size), "cut", file, line)
    }

    /// Makes blocks exist up to `offset + length`. Where the file system can't, zeros are written.
    func reserve(offset: Int64, length: Int64, file: String = #fileID, line: UInt = #line) throws(QueueError) {
        do throws(Errno) {
            _ = try syscalls.perform(
                .fallocate(fd, offset: offset, length: length), at: CallSite(file: file, line: line))
        } catch {
            guard error == .notSupportedOnSocket || error == .notSupported else {
                throw QueueError(.system, "reserve room in \(path)", cause: error)
            }
            let zeros = [UInt8](repeating: 0, count: Int(min(length, 1 << 20)))
            for start in stride(from: Int64(0), to: length, by: zeros.count) {
                let piece = zeros.prefix(Int(min(Int64(zeros.count), length - start)))
                try write(Array(piece), at: offset + start, file: file, line: line)
            }
        }
    }

    // MARK: Attributes

    func status(file: String = #fileID, line: UInt = #line) throws(QueueError) -> stat {
        var result = stat()
        try withUnsafeMutablePointer(to: &result) { (into) throws(QueueError) in
            _ = try perform(.fstat(fd, into), "examine", file, line)
        }
        return result
    }

    func size(file: String = #fileID, line: UInt = #line) throws(QueueError) -> Int64 {
        Int64(try status(file: file, line: line).st_size)
    }

    func setMode(_ mode: UInt32, file: String = #fileID, line: UInt = #line) throws(QueueError) {
        try perform(.fchmod(fd, mode), "set the mode of", file, line)
    }

    func setOwner(uid: UInt32, gid: UInt32, file: String = #fileID, line: UInt = #line) throws(QueueError) {
        try perform(.fchown(fd, uid: uid, gid: gid), "set the owner of", file, line)
    }

    /// flock(2), exclusive, without waiting. False when another holds it.
    func tryLock(file: String = #fileID, line: UInt = #line) throws(QueueError) -> Bool {
        try tryLock(LOCK_EX, file, line)
    }

    /// flock(2), shared, without waiting: whether no writer holds it.
    func trySharedLock(file: String = #fileID, line: UInt = #line) throws(QueueError) -> Bool {
        try tryLock(LOCK_SH, file, line)
    }

    private func tryLock(_ kind: Int32, _ file: String, _ line: UInt) throws(QueueError) -> Bool {
        do throws(Errno) {
            _ = try syscalls.perform(.flock(fd, kind | LOCK_NB), at: CallSite(file: file, line: line))
            return true
        } catch {
            if error == .wouldBlock { return false }
            throw QueueError(.system, "lock \(path)", cause: error)
        }
    }

    func unlock(file: String = #fileID, line: UInt = #line) throws(QueueError) {
        try perform(.flock(fd, LOCK_UN), "unlock", file, line)
    }
}
