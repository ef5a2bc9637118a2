import CommandKit
import Testing

@testable import mail_enqueue

@Suite struct CallerTests {
    static let accounts = [
        Account(name: "root", uid: 0, gid: 0, home: "/", shell: "/", gecos: "Super & User,room 1,,"),
        Account(name: "toor", uid: 0, gid: 0, home: "/", shell: "/"),
        Account(name: "joe", uid: 1000, gid: 1000, home: "/", shell: "/", gecos: "&"),
    ]

    struct Row: Sendable, CustomTestStringConvertible {
        var reason: String
        var uid: UInt32
        var logname: String?
        var name: String?
        var local: String
        var full: String?
        var testDescription: String { reason }
    }

    @Test(arguments: [
        Row(reason: "by uid", uid: 1000, local: "joe", full: "Joe"),
        Row(reason: "gecos ends at a comma", uid: 0, local: "root", full: "Super Root User"),
        Row(reason: "LOGNAME picks among accounts of one uid", uid: 0, logname: "toor", local: "toor"),
        Row(reason: "LOGNAME of another uid", uid: 1000, logname: "root", name: "Eve", local: "joe", full: "Joe"),
        Row(reason: "LOGNAME of nobody", uid: 1000, logname: "eve@x", name: "Eve", local: "joe", full: "Joe"),
        Row(reason: "empty LOGNAME", uid: 1000, logname: "", name: "Eve", local: "joe", full: "Joe"),
        Row(
            reason: "NAME with a LOGNAME of ours", uid: 1000, logname: "joe", name: "Joe D.", local: "joe",
            full: "Joe D."),
        Row(reason: "NAME without LOGNAME", uid: 1000, name: "Eve", local: "joe", full: "Joe"),
        Row(reason: "empty NAME", uid: 1000, logname: "joe", name: "", local: "joe", full: "Joe"),
        Row(reason: "uid without account", uid: 12345, logname: "joe", name: "Joe", local: "uid12345"),
    ]) func finds(_ row: Row) throws {
        let caller = try Caller.find(
            uid: row.uid, logname: row.logname, name: row.name,
            accountNamed: { name in Self.accounts.first { $0.name == name } },
            accountOf: { uid in Self.accounts.first { $0.uid == uid } })
        #expect(caller == Caller(localPart: row.local, fullName: row.full))
    }

    @Test func doesNotGuessWhenTheMachineCannotTell() {
        let away = CommandFailure(.temporaryFailure, "the directory is away")
        #expect(throws: away) {
            _ = try Caller.find(
                uid: 1000, logname: nil, name: nil, accountNamed: { _ in nil },
                accountOf: { (_) throws(CommandFailure) -> Account? in throw away })
        }
    }
}
