// Owns: keys that another program hands over: by a descriptor, or by the service manager's credentials; and handing them
// on. Refuses: arguments and environment, which others can read.

import CommandKit
import Glibc
import QueueKit
import SystemPackage

public enum HandedKeys {
    /// The writer's part, for mail-listen: what `mail-queue keys writer` prints.
    public static let writerCredential = "pouch-writer"
    /// The private part, for mail-relay and an operator: what `mail-queue keys private` prints.
    public static let privateCredential = "pouch-private"
    /// More than any part has.
    public static let partLimit = 1024

    /// Reads what a descriptor gives and closes it: call it before any socket or child exists.
    ///
    /// - Parameter option: the option that named it, for the sentence.
    /// - Throws: 64 for what is no open descriptor above 2; 78 when nothing can be read.
    public static func take(
        _ descriptor: Int32, option: String, limit: Int = partLimit
    ) throws(CommandFailure) -> Secret {
        guard descriptor > 2, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            throw CommandFailure(
                .usage, "cannot use \(option) \(descriptor): it is not an open descriptor above 2.")
        }
        defer { close(descriptor) }
        do throws(SecretInput.Failure) {
            let secret = try SecretInput.readAll(descriptor, limit: limit)
            if !secret.isEmpty { return secret }
        } catch {
            throw CommandFailure(
                .configuration, "cannot read a key from \(option) \(descriptor): \(PassphraseReader.reason(error))")
        }
        throw CommandFailure(.configuration, "cannot read a key from \(option) \(descriptor): nothing is there.")
    }

    /// All passphrases, as mail-supervise hands them to `mail-queue init`.
    public static func takePassphrases(_ descriptor: Int32, option: String) throws(CommandFailure) -> Passphrases {
        try Passphrases(bundle: take(descriptor, option: option, limit: Passphrases.bundleLimit))
    }

    /// The service manager's file of that name; nil when there is none.
    static func credential(
        _ name: String, folder: String? = Environment.value("CREDENTIALS_DIRECTORY")
    ) throws(CommandFailure) -> Secret? {
        guard let folder, folder.hasPrefix("/") else { return nil }
        let path = "\(folder)/\(name)"
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else {
            let cause = Errno(rawValue: errno)
            if cause == .noSuchFileOrDirectory { return nil }
            throw CommandFailure(.configuration, "read the credential \(path)", cause)
        }
        defer { close(descriptor) }
        do throws(SecretInput.Failure) {
            return try SecretInput.readAll(descriptor, limit: partLimit)
        } catch {
            throw CommandFailure(
                .configuration, "cannot read the credential \(path): \(PassphraseReader.reason(error))")
        }
    }

    /// A sealed copy for a child.
    public static func memory(_ name: String, _ secret: Secret) throws(CommandFailure) -> SealedMemory {
        try secret.withBytes { (bytes) throws(CommandFailure) in try SealedMemory(name, bytes) }
    }

    /// Writes a part to standard output, from wiped memory.
    public static func print(_ part: Secret) throws(CommandFailure) {
        try part.withBytes { (bytes) throws(CommandFailure) in
            var done = 0
            while done < bytes.count {
                let count = write(STDOUT_FILENO, bytes.baseAddress.map { $0 + done }, bytes.count - done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    throw CommandFailure(.ioError, "write to standard output", Errno(rawValue: errno))
                }
                done += count
            }
        }
    }
}
