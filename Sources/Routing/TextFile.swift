// Owns: reading a small text file that a person wrote, with bounds. Refuses: mail, anything it would have to wait for.

import Glibc
import SystemPackage

enum TextFile {
    /// When a file changed: any change of content or mode changes one of these, as nobody sets the time of change back.
    struct Stamp: Hashable, Sendable {
        var device: UInt64
        var inode: UInt64
        var size: Int64
        var modified: Time
        var changed: Time
        /// The permission bits.
        var mode: UInt32

        struct Time: Hashable, Sendable {
            var seconds: Int
            var nanoseconds: Int
            init(_ time: timespec) { (seconds, nanoseconds) = (time.tv_sec, time.tv_nsec) }
        }
    }

    /// False only when there is no such name; a file that may not be looked at exists.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 || (errno != ENOENT && errno != ENOTDIR)
    }

    static func stamp(_ path: String) throws(UnreadableFile) -> Stamp {
        var status = stat()
        guard stat(path, &status) == 0 else { throw failure(Errno(rawValue: errno)) }
        return stamp(status)
    }

    /// The text of a regular file in UTF-8.
    static func read(_ path: String, limit: Int) throws(UnreadableFile) -> String {
        try readStamped(path, limit: limit).text
    }

    /// The text with the stamp it had when opened.
    static func readStamped(_ path: String, limit: Int) throws(UnreadableFile) -> (text: String, stamp: Stamp) {
        // Not blocking: a FIFO in the file's place must not hang the program.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw failure(Errno(rawValue: errno)) }
        defer { close(descriptor) }
        let (size, stamp) = try regular(descriptor)
        guard size <= limit else { throw tooLong(limit) }
        let bytes = try readAll(descriptor, limit: limit)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw UnreadableFile("it is not UTF-8 text. Convert it with iconv(1).")
        }
        return (text, stamp)
    }

    /// The size and the stamp of an open file, which must be a regular one.
    static func regular(_ descriptor: Int32) throws(UnreadableFile) -> (size: Int, stamp: Stamp) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(Errno(rawValue: errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw UnreadableFile(
                status.st_mode & S_IFMT == S_IFDIR ? "it is a directory. Name a file." : "it is no regular file.")
        }
        return (Int(status.st_size), stamp(status))
    }

    private static func readAll(_ descriptor: Int32, limit: Int) throws(UnreadableFile) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { return bytes }
            if count < 0 {
                let error = Errno(rawValue: errno)
                guard error == .interrupted else { throw failure(error) }
                continue
            }
            bytes += chunk[..<count]
            guard bytes.count <= limit else { throw tooLong(limit) }
        }
    }

    private static func stamp(_ status: stat) -> Stamp {
        Stamp(
            device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
            modified: Stamp.Time(status.st_mtim), changed: Stamp.Time(status.st_ctim),
            mode: status.st_mode & 0o7777)
    }

    private static func tooLong(_ limit: Int) -> UnreadableFile {
        UnreadableFile("it is longer than \(limit >> 20) MiB.")
    }

    static func failure(_ error: Errno) -> UnreadableFile {
        switch error {
        case .noSuchFileOrDirectory, .notDirectory: UnreadableFile("no such file. Check the path, or create the file.")
        case .permissionDenied: UnreadableFile("permission denied. Let this user read it, or run as one who may.")
        default: UnreadableFile("\(error.description.lowercased()).")
        }
    }
}
