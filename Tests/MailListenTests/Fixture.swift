// Owns: routers, spools and sessions for the tests of mail-listen. Refuses: tests.

import Glibc
import MailModel
import QueueKit
import Routing
import SMTPProtocol
import Testing
import Transport

@testable import mail_listen

/// A setting over a configuration in text, with users of its own.
func setting(_ text: String, users: [String] = ["alice", "root"]) throws -> Setting {
    let configuration = try Configuration.parse(text: text, path: "pouch.conf", facts: EnvironmentFacts(uid: 0)) {
        (_: String) throws(UnreadableFile) -> String in throw UnreadableFile("no include in tests")
    }
    let tables = try TableSet(
        opening: configuration,
        users: { name in
            if name == "slow" { return .temporaryFailure("the directory of users at /secret/place does not answer") }
            return users.contains(name) ? .found(UserInfo(uid: 1, gid: 1, home: "/")) : .notFound
        }, report: { _ in })
    let names = ["mail.example.test", "mail"]
    return Setting(
        configuration: configuration,
        router: Router(configuration: configuration, tables: tables, localNames: names), localNames: names)
}

func mailbox(_ text: String) throws -> Mailbox { try #require(Mailbox(text)) }

/// A spool in a folder of its own, which goes with the last reference.
final class TemporarySpool: Sendable {
    let folder: String
    let layout: SpoolLayout

    init() throws {
        folder = "/tmp/pouch-listen-test.\(QueueID.make(SystemClock()))"
        try #require(mkdir(folder, 0o755) == 0)
        layout = SpoolLayout(root: folder + "/spool")
        try layout.create(owners: .caller)
    }

    deinit {
        var pid = pid_t()
        let words: [UnsafeMutablePointer<CChar>?] = [strdup("rm"), strdup("-rf"), strdup(folder), nil]
        if posix_spawn(&pid, "/bin/rm", nil, nil, words, nil) == 0 { waitpid(pid, nil, 0) }
        words.forEach { free($0) }
    }

    /// The contents of all messages, the oldest first.
    func contents() throws -> [String] {
        let snapshot = try QueueSnapshot(layout)
        return try snapshot.messages.map { message in
            let content = try #require(snapshot.content(of: message.id))
            var bytes: [UInt8] = []
            while let piece = try content.next() { bytes += piece }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
