// Owns: which program answers for a table, and where its file is. Refuses: running it (ProgramProcess).

import Glibc

/// A program that speaks the protocol of smtpd-tables(7).
public enum TableProgram: Hashable, Sendable {
    /// `proc:"/path words"`.
    case command(path: String, arguments: [String])
    /// `ldap:/etc/ldap.conf`: the program `table-ldap` of the first folder that has it, told `/etc/ldap.conf`.
    case type(String, configuration: String)

    /// Our own, then those of OpenSMTPD's packages of tables. No variable changes them: who can set one must not choose
    /// what root executes.
    public static let folders = [
        "/usr/local/libexec/pouch", "/usr/libexec/pouch", "/usr/local/libexec/opensmtpd", "/usr/libexec/opensmtpd",
        "/usr/lib/opensmtpd", "/usr/local/libexec/smtpd", "/usr/libexec/smtpd",
    ]

    /// The file to execute and its arguments without its name.
    /// - Throws: why it can't be, as the end of a sentence.
    func resolve(in folders: [String] = folders) throws(UnreadableFile) -> (path: String, arguments: [String]) {
        switch self {
        case .command(let path, let arguments):
            try Self.check(path)
            return (path, arguments)
        case .type(let type, let configuration):
            for folder in folders {
                let path = "\(folder)/table-\(type)"
                guard access(path, F_OK) == 0 else { continue }
                try Self.check(path)
                return (path, configuration.isEmpty ? [] : [configuration])
            }
            throw UnreadableFile(
                "there is no program table-\(type) in \(folders.joined(separator: ", ")). Install it, or name it: "
                    + "proc:\"/path/to/table-\(type) \(configuration.prefix(60))\".")
        }
    }

    private static func check(_ path: String) throws(UnreadableFile) {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, access(path, X_OK) == 0 else {
            throw UnreadableFile("\(path) is no program that this user may execute.")
        }
        // Whoever may change a program that root runs is root.
        guard geteuid() != 0 || (status.st_uid == 0 && status.st_mode & 0o022 == 0) else {
            throw UnreadableFile(
                "\(path) can be changed by others than root, and root would run it. Make it root's, with mode 0755.")
        }
    }
}

extension TableDefinition {
    /// Whether a lookup reads no file and asks nobody, so that it can't keep anybody waiting.
    public var isInMemory: Bool {
        switch self {
        case .list, .mapping: true
        case .file, .database, .program, .systemUsers: false
        }
    }
}
