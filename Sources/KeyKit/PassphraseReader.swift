// Owns: getting the queue's passphrase from where the configuration says it is, into wiped memory. Refuses: showing any
// part of it, what a command printed, or the command; keys.

import CommandKit
import Glibc
import QueueKit
import Routing
import SystemPackage

/// Reads passphrases. Whatever goes wrong is one sentence with status 78.
public struct PassphraseReader {
    /// Octets of a passphrase at most: a key file holds one, not a disk.
    static let limit = 1024
    /// Shorter ones get a warning.
    static let goodLength = 16

    private let credentials: String?
    private let standardInput: Int32?
    private let warn: (String) -> Void

    /// - Parameters:
    ///   - asksPeople: whether standard input and the terminal may be read.
    ///   - warn: told about a short passphrase.
    public init(
        asksPeople: Bool, credentials: String? = Environment.value("CREDENTIALS_DIRECTORY"),
        warn: @escaping (String) -> Void
    ) {
        self.init(standardInput: asksPeople ? STDIN_FILENO : nil, credentials: credentials, warn: warn)
    }

    init(standardInput: Int32?, credentials: String?, warn: @escaping (String) -> Void) {
        (self.standardInput, self.credentials, self.warn) = (standardInput, credentials, warn)
    }

    /// - Parameter isPrevious: an earlier one, which is what it is, however short.
    /// - Throws: 78 when there is no passphrase to be had, or an empty one.
    public func read(_ source: KeySource, isPrevious: Bool = false) throws(CommandFailure) -> Secret {
        let passphrase = try bytes(of: source).withoutLineEnd
        guard !passphrase.isEmpty else {
            throw Self.failure(source, "it is empty. Choose a passphrase of \(Self.goodLength) characters or more.")
        }
        if !isPrevious, passphrase.characterCount < Self.goodLength {
            warn(
                "the queue's passphrase from \(source.place) has fewer than \(Self.goodLength) characters, which is easy to "
                    + "guess for who has a copy of spool.key. Choose a longer one, and name this one in queue encryption "
                    + "previous key.")
        }
        return passphrase
    }

    private func bytes(of source: KeySource) throws(CommandFailure) -> Secret {
        switch source {
        case .literal(let text):
            var bytes = Array(text.revealed.utf8)
            return Secret(wiping: &bytes)
        case .file(let path): return try file(path, source)
        case .credential(let name): return try file(try credentialPath(name, source), source)
        case .command(let command):
            do throws(KeyCommand.Failure) {
                return try KeyCommand.output(of: command.revealed, limit: Self.limit)
            } catch {
                throw Self.failure(source, error.reason)
            }
        case .standardInput: return try input(source)
        case .terminal:
            guard standardInput != nil else { throw Self.nobodyToAsk(source) }
            do throws(TerminalPrompt.Failure) {
                return try TerminalPrompt.ask("Passphrase of the mail queue: ", limit: Self.limit)
            } catch {
                throw Self.failure(source, error.reason)
            }
        }
    }

    private func credentialPath(_ name: String, _ source: KeySource) throws(CommandFailure) -> String {
        guard let credentials, credentials.hasPrefix("/") else {
            throw Self.failure(
                source,
                "CREDENTIALS_DIRECTORY is not set. Give the unit LoadCredential=\(name):FILE, or start the program "
                    + "from it.")
        }
        return "\(credentials)/\(name)"
    }

    private func input(_ source: KeySource) throws(CommandFailure) -> Secret {
        guard let standardInput else { throw Self.nobodyToAsk(source) }
        do throws(SecretInput.Failure) {
            return try SecretInput.readAll(standardInput, limit: Self.limit)
        } catch {
            throw Self.failure(source, Self.reason(error))
        }
    }

    /// A regular file that others neither read nor change.
    private func file(_ path: String, _ source: KeySource) throws(CommandFailure) -> Secret {
        // Not blocking: a FIFO in the file's place must not hang the program.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw Self.failure(source, Self.reason(.system(Errno(rawValue: errno)))) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw Self.failure(source, Self.reason(.system(Errno(rawValue: errno))))
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Self.failure(source, "it is no regular file.") }
        guard status.st_mode & 0o006 == 0 else {
            throw Self.failure(
                source, "everybody may read or change the file. Forbid it with \"chmod o-rwx \(path)\".")
        }
        do throws(SecretInput.Failure) {
            return try SecretInput.readAll(descriptor, limit: Self.limit)
        } catch {
            throw Self.failure(source, Self.reason(error))
        }
    }

    static func reason(_ failure: SecretInput.Failure) -> String {
        switch failure {
        case .tooLong: "it is longer than \(limit) octets. Is it the right one?"
        case .late: "it took too long."
        case .system(.noSuchFileOrDirectory): "no such file. Check the path."
        case .system(.permissionDenied):
            "permission denied. Let this user read it, or start the program as one who may."
        case .system(let cause): "\(cause.phrase)."
        }
    }

    private static func nobodyToAsk(_ source: KeySource) -> CommandFailure {
        failure(source, "this program asks nobody. Name another source in queue encryption.")
    }

    static func failure(_ source: KeySource, _ reason: String) -> CommandFailure {
        CommandFailure(.configuration, "cannot read the queue's passphrase from \(source.place): \(reason)")
    }
}

extension KeySource {
    /// As a sentence names it.
    var place: String {
        switch self {
        case .literal: "the configuration"
        case .file(let path): path
        case .credential(let name): "the credential \(name)"
        case .command: "the key command"
        case .standardInput: "standard input"
        case .terminal: "the terminal"
        }
    }
}
