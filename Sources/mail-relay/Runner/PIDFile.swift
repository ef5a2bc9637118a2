// Owns: `run/relay.pid`, by which a second runner can say who the first is. Refuses: being a lock; the spool has one.

import CommandKit
import Glibc
import QueueKit
import SystemPackage

struct PIDFile {
    private let path: String

    init(_ layout: SpoolLayout) throws(CommandFailure) {
        path = Self.path(layout)
        do {
            let file = try FileDescriptor.open(
                path, .writeOnly, options: [.create, .truncate, .noFollow, .closeOnExec],
                permissions: [.ownerReadWrite, .groupRead, .otherRead])
            defer { try? file.close() }
            try file.writeAll("\(getpid())\n".utf8)
        } catch {
            throw CommandFailure(
                .cannotCreate, "write \(path)", error as? Errno ?? .ioError,
                cure: "Run as the spool's owner, or mend it with mail-queue init --fix.")
        }
    }

    func remove() { unlink(path) }

    static func read(_ layout: SpoolLayout) -> Int32? {
        guard let file = try? FileDescriptor.open(path(layout), .readOnly, options: [.noFollow, .closeOnExec]) else {
            return nil
        }
        defer { try? file.close() }
        var buffer = [UInt8](repeating: 0, count: 16)
        let count = buffer.withUnsafeMutableBytes { bytes in (try? file.read(into: bytes)) ?? 0 }
        let pid = Int32(String(decoding: buffer.prefix(count).prefix { $0 != 10 }, as: UTF8.self))
        // A runner that was killed leaves its file; whoever has the lock now is somebody else.
        return pid.flatMap { $0 > 0 && (kill($0, 0) == 0 || errno == EPERM) ? $0 : nil }
    }

    private static func path(_ layout: SpoolLayout) -> String { layout.path(.run) + "/relay.pid" }
}
