// Owns: replacing a small file so that readers see the old one or the new one, whole, whenever the power goes. Refuses:
// mail; that is QueueKit's.

import Glibc
import SystemPackage

public enum AtomicFile {
    /// Order: temporary file beside it, mode, content, sync, rename, sync of the folder. On failure nothing is left
    /// behind and the old file stands.
    ///
    /// - Parameter mode: the permission bits; no umask changes them.
    /// - Throws: 73 when the file cannot be made, 77 when the caller may not.
    public static func replace(_ path: String, with text: String, mode: UInt32) throws(CommandFailure) {
        let temporary = "\(path).tmp-\(UInt64.random(in: .min ... .max))"
        do throws(CommandFailure) {
            try write(text, to: temporary, mode: mode, meaning: path)
            guard rename(temporary, path) == 0 else { throw failure(path, .last) }
        } catch {
            unlink(temporary)
            throw error
        }
        try syncFolder(of: path)
    }

    private static func write(
        _ text: String, to temporary: String, mode: UInt32, meaning path: String
    ) throws(CommandFailure) {
        let number = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard number >= 0 else { throw failure(path, .last) }
        defer { close(number) }
        guard fchmod(number, mode_t(mode)) == 0 else { throw failure(path, .last) }
        do {
            try FileDescriptor(rawValue: number).writeAll(text.utf8)
        } catch {
            throw failure(path, error as? Errno ?? .ioError)
        }
        guard fsync(number) == 0 else { throw failure(path, .last) }
    }

    private static func syncFolder(of path: String) throws(CommandFailure) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let number = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { throw failure(path, .last) }
        defer { close(number) }
        guard fsync(number) == 0 else { throw failure(path, .last) }
    }

    private static func failure(_ path: String, _ cause: Errno) -> CommandFailure {
        let isForbidden = [.permissionDenied, .notPermitted, .readOnlyFileSystem].contains(cause)
        return CommandFailure(
            isForbidden ? .noPermission : .cannotCreate, "write \(path)", cause,
            cure: cause == .noSuchFileOrDirectory ? "Make its directory first." : nil)
    }
}
