// Owns: what this program is called and where its siblings are. Refuses: PATH and every variable: who can set those
// must not choose what root executes.

import Glibc
import SystemPackage

public enum ProgramPaths {
    /// The last part of the name this program was called by, for diagnosis.
    public static let name: String = {
        let called = CommandLine.arguments.first ?? ""
        return called.split(separator: "/").last.map(String.init) ?? "pouch"
    }()

    /// The program of that name in the directory that holds this one (`/proc/self/exe`).
    public static func sibling(_ name: String) throws(CommandFailure) -> String {
        try directory() + "/" + name
    }

    /// The same, and it must be there and executable.
    public static func executableSibling(_ name: String) throws(CommandFailure) -> String {
        let path = try sibling(name)
        guard access(path, X_OK) == 0 else {
            throw CommandFailure(
                .osFile, "run \(path)", .last, cure: "The programs of Pouch must lie in one directory.")
        }
        return path
    }

    private static func directory() throws(CommandFailure) -> String {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { chars in
                chars.baseAddress.map { readlink("/proc/self/exe", $0, chars.count) } ?? -1
            }
        }
        guard count > 0, count < buffer.count, let slash = buffer[..<count].lastIndex(of: UInt8(ascii: "/")) else {
            throw CommandFailure(.osFile, "read /proc/self/exe", .last, cure: "Mount /proc.")
        }
        return String(decoding: buffer[..<slash], as: UTF8.self)
    }
}
