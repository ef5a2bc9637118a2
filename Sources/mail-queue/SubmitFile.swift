// Owns: submit.conf as `init` writes it from the configuration. Refuses: its grammar (SubmitConfiguration).

import CommandKit
import Glibc
import QueueKit
import Routing

enum SubmitFile {
    /// Whoever submits mail reads it, and it holds no secret.
    private static let mode: UInt32 = 0o644

    /// Writes it beside the configuration, when it is not there as it must be.
    ///
    /// - Parameter checkOnly: nothing is written.
    /// - Returns: what was done or would be.
    static func write(_ configuration: Configuration, _ keys: InitKeys, checkOnly: Bool) throws(CommandFailure)
        -> String
    {
        let path = SubmitConfiguration.path(besides: configuration.path)
        if configuration.path == nil, let reason = reasonToSkip(path) {
            return "no submit.conf: \(reason), so mail-enqueue goes by its defaults"
        }
        // Without a key nobody knows yet what the file will say.
        if checkOnly, keys.isKeyMissing { return "would write \(path)" }
        return try write(path, configuration, keys.publicKey, checkOnly: checkOnly)
    }

    /// Names another key.
    static func write(_ configuration: Configuration, _ key: PublicKey) throws(CommandFailure) -> String {
        try write(SubmitConfiguration.path(besides: configuration.path), configuration, key, checkOnly: false)
    }

    /// The key that it names now.
    static func keyID(_ configuration: Configuration) -> KeyID? {
        let path = SubmitConfiguration.path(besides: configuration.path)
        return (try? SubmitConfiguration.load(path: path))?.publicKeyID.flatMap { KeyID($0) }
    }

    private static func write(
        _ path: String, _ configuration: Configuration, _ key: PublicKey?, checkOnly: Bool
    ) throws(CommandFailure) -> String {
        let text = content(configuration, key).render()
        if isCurrent(path, text) { return "\(path) is up to date" }
        if checkOnly { return "would write \(path)" }
        try AtomicFile.replace(path, with: text, mode: mode)
        return "wrote \(path)"
    }

    /// The built-in default needs no file: mail-enqueue knows the same default. As root the file is written where its
    /// folder exists, so that all users submit to root's spool.
    private static func reasonToSkip(_ path: String) -> String? {
        guard geteuid() == 0 else { return "there is no configuration file" }
        let folder = path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        return access(folder, F_OK) == 0 ? nil : "there is no \(folder)"
    }

    private static func content(_ configuration: Configuration, _ key: PublicKey?) -> SubmitConfiguration {
        var submit = SubmitConfiguration(spool: configuration.queueDirectory)
        (submit.publicKey, submit.publicKeyID) = (key?.description, key?.id.description)
        submit.compresses = configuration.queueCompression
        submit.maxMessageSize = configuration.maxMessageSize
        let name = configuration.listeners.compactMap(\.hostname).first ?? Machine.name
        var named = submit
        (named.domain, named.hostname) = (name, name)
        // A machine's name may be anything; one that mail-enqueue would refuse is left out.
        let isReadable = (try? SubmitConfiguration.parse(text: named.render(), path: "submit.conf")) == named
        return isReadable ? named : submit
    }

    private static func isCurrent(_ path: String, _ text: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o7777 == mode else {
            return false
        }
        // Compared as text, so that a file with a hand-made change is written anew.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return false }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: SubmitConfiguration.fileLimit)
        let count = read(file, &bytes, bytes.count)
        return count >= 0 && bytes.prefix(count).elementsEqual(text.utf8)
    }
}
