// A spool in a temporary folder, input from memory, and reading drops back as the runner would.

import CommandKit
import Glibc
import MailModel

@testable import QueueKit
@testable import mail_enqueue

/// Goes when the last reference goes.
final class TemporarySpool: Sendable {
    let folder: String
    let layout: SpoolLayout

    init() throws {
        folder = "/tmp/pouch-test.\(QueueID.make(SystemClock()))"
        guard mkdir(folder, 0o755) == 0 else { throw QueueError(.system, "make a temporary folder") }
        layout = SpoolLayout(root: "\(folder)/spool")
        try layout.create(owners: .caller)
    }

    deinit {
        var pid = pid_t()
        let words: [UnsafeMutablePointer<CChar>?] = [strdup("rm"), strdup("-rf"), strdup(folder), nil]
        if posix_spawn(&pid, "/bin/rm", nil, nil, words, nil) == 0 { waitpid(pid, nil, 0) }
        words.forEach { free($0) }
    }

    var settings: SubmitSettings {
        SubmitSettings(
            spool: layout.root, domain: "d.example", hostname: "host.example", sizeLimit: 8 << 20, source: "submit.conf"
        )
    }

    func drops() throws -> [String] { try Directory(layout.path(.offline), syscalls: LibC()).names().sorted() }

    /// The one drop there is, judged and read as the runner does.
    func drop() throws -> (envelope: Envelope, text: String) {
        let directory = try Directory(layout.path(.offline), syscalls: LibC())
        let pickup = OfflinePickup(directory: directory, clock: SystemClock(), sizeLimit: 64 << 20, keys: nil)
        guard let name = try drops().first, try drops().count == 1,
            case .accept(let reader, let message) = try pickup.examine(name)
        else { throw QueueError(.corrupt, "find one whole drop") }
        let content = reader.content(of: message)
        var bytes: [UInt8] = []
        while let piece = try content.next() { bytes += piece }
        return (try OfflinePickup.envelope(of: message, reader).envelope, String(decoding: bytes, as: UTF8.self))
    }

    func write(_ name: String, _ text: [UInt8]) throws -> String {
        let path = "\(folder)/\(name)"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(file) }
        guard text.withUnsafeBytes({ Glibc.write(file, $0.baseAddress, $0.count) }) == text.count else {
            throw QueueError(.system, "write \(path)")
        }
        return path
    }

    /// Submits `message` as mail-enqueue with these arguments would.
    @discardableResult
    func submit(
        _ words: [String], _ message: [UInt8], caller: Caller = Caller(localPart: "joe", fullName: "Joe User"),
        settings: SubmitSettings? = nil
    ) throws -> QueueID {
        let arguments = try SendmailArguments.parse(words, calledAs: "sendmail")
        let file = open(try write("input", message), O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        let submission = try Submission(arguments, settings: settings ?? self.settings) { () throws(CommandFailure) in
            caller
        }
        var input = MessageInput(descriptor: file, endsAtLoneDot: !arguments.ignoresDots)
        return try submission.store(&input)
    }
}
