// Owns: putting a new database in the place of the old one, whole, whenever the power goes. Refuses: its octets.

import Glibc
import SystemPackage

enum DatabaseFile {
    /// Order: temporary file beside it, owner and mode, content, sync, rename, sync of the folder. On failure nothing is
    /// left behind and the old file stands.
    /// - Parameter source: whose owner and mode the file gets where there is none yet: what only some may read in the
    ///   text, only they may read in the database.
    static func replace(_ path: String, with bytes: [UInt8], like source: stat) throws(DatabaseBuild.Failure) {
        var model = stat()
        if stat(path, &model) != 0 { model = source }
        let temporary = "\(path).tmp-\(UInt64.random(in: .min ... .max))"
        do throws(Errno) {
            try write(bytes, to: temporary, like: model)
            guard rename(temporary, path) == 0 else { throw Errno(rawValue: errno) }
        } catch {
            unlink(temporary)
            throw .unwritable(path, error)
        }
        do throws(Errno) { try syncFolder(of: path) } catch { throw .unwritable(path, error) }
    }

    private static func write(_ bytes: [UInt8], to path: String, like model: stat) throws(Errno) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Errno(rawValue: errno) }
        defer { close(descriptor) }
        try adopt(model, descriptor)
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                let error = Errno(rawValue: errno)
                guard error == .interrupted else { throw error }
                continue
            }
            written += count
        }
        guard fsync(descriptor) == 0 else { throw Errno(rawValue: errno) }
    }

    /// Only root gives files away; whoever can't leaves the group's rights out, as they would be another group's.
    private static func adopt(_ model: stat, _ descriptor: Int32) throws(Errno) {
        var own = stat()
        guard fstat(descriptor, &own) == 0 else { throw Errno(rawValue: errno) }
        var mode = model.st_mode & 0o666
        let isSame = own.st_uid == model.st_uid && own.st_gid == model.st_gid
        if !isSame, fchown(descriptor, model.st_uid, model.st_gid) != 0, own.st_gid != model.st_gid { mode &= ~0o060 }
        guard fchmod(descriptor, mode) == 0 else { throw Errno(rawValue: errno) }
    }

    private static func syncFolder(of path: String) throws(Errno) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Errno(rawValue: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Errno(rawValue: errno) }
    }
}
