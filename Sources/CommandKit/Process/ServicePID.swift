// Owns: the file by which a command finds the process that serves a spool, held locked as long as that lives. Refuses:
// being a lock that anybody waits for; signalling a process that only claims to be it.

import Glibc
import SystemPackage

public struct ServicePID: ~Copyable {
    private let descriptor: Int32
    private let path: String

    /// Writes this process's number and keeps the file locked.
    ///
    /// - Throws: 73 when it can't be written; 75 when another process holds it.
    public init(_ path: String) throws(CommandFailure) {
        self.path = path
        descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0o644)
        guard descriptor >= 0 else { throw Self.failure(path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw CommandFailure(
                .temporaryFailure, "cannot hold \(path): another process serves this spool. Stop that first.")
        }
        let text = Array("\(getpid())\n".utf8)
        guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, text, text.count, 0) == text.count else {
            let failure = Self.failure(path)
            close(descriptor)
            throw failure
        }
    }

    deinit {
        unlink(path)
        close(descriptor)
    }

    private static func failure(_ path: String) -> CommandFailure {
        CommandFailure(
            .cannotCreate, "write \(path)", Errno(rawValue: errno),
            cure: "Run as the spool's owner or as root, or mend it with mail-queue init --fix.")
    }

    /// The process that holds the file; nil when none does. Whoever owns the folder may put anything there: only root's
    /// file and the caller's own count, and only while a program of that name has the number.
    public static func holder(_ path: String, program: String) -> Int32? {
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1,
            status.st_uid == 0 || status.st_uid == geteuid(), flock(file, LOCK_SH | LOCK_NB) != 0
        else { return nil }
        var buffer = [UInt8](repeating: 0, count: 16)
        let count = pread(file, &buffer, buffer.count, 0)
        guard count > 0, let pid = Int32(String(decoding: buffer.prefix(count).prefix { $0 != 10 }, as: UTF8.self)),
            pid > 1, name(of: pid) == program.prefix(15)
        else { return nil }
        return pid
    }

    private static func name(of pid: Int32) -> Substring? {
        let file = open("/proc/\(pid)/comm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 32)
        let count = read(file, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer.prefix(count).prefix { $0 != 10 }, as: UTF8.self)[...] : nil
    }
}
