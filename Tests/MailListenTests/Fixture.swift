// Owns: settings, spools and sessions for the tests of mail-listen. Refuses: tests.

import CommandKit
import Glibc
import MailModel
import QueueKit
import Routing
import SMTPProtocol
import SystemPackage
import Testing
import Transport

@testable import mail_listen

extension Mailbox {
    /// For addresses that tests know to be well-formed.
    init(known text: String) throws { self = try #require(Mailbox(text)) }
}

/// A router over a configuration in text, with users of its own.
func testRouter(_ text: String, users: [String] = ["alice", "root"]) throws -> Router {
    let facts = EnvironmentFacts(uid: 0)
    let configuration = try Configuration.parse(text: text, path: "pouch.conf", facts: facts) {
        (path) throws(UnreadableFile) in throw UnreadableFile(reason: "no include in tests: \(path)")
    }
    let tables = try TableSet(
        opening: configuration,
        users: { users.contains($0) ? .found(UserInfo(uid: 1, gid: 1, home: "/")) : Self.missing($0) },
        report: { _ in })
    return Router(configuration: configuration, tables: tables, localNames: ["mail.example.test"])
}
