import CommandKit
import MailModel
import Routing
import SMTPProtocol
import Testing

@testable import mail_relay

struct AgentPathTests {
    private func path(_ template: String, to recipient: String, from sender: String? = "s@example.net") throws -> String
    {
        try PathTemplate(text: template).path(
            .init(
                username: "u", home: "/home/u", reversePath: try sender.map { .mailbox(try mailbox($0)) } ?? .null,
                recipient: try mailbox(recipient)))
    }

    @Test(arguments: [
        ("~/Maildir", "a@b", "/home/u/Maildir"), ("/m/%{user.username}", "a@b", "/m/u"),
        ("%{user.directory}/x//y/", "a@b", "/home/u/x/y"),
        ("/m/%{dest.domain}/%{dest.user}", "a+x@b.example", "/m/b.example/a+x"),
        ("/m/%{rcpt}", "a@b", "/m/a@b"), ("/m/%{dest.user:lowercase|strip}", "Ab+c@d", "/m/ab"),
        ("/m/%{dest.user[0]}/%{dest.user[1:3]}/%{dest.user[-1:]}", "abcd@e", "/m/a/bc/d"),
        ("/m/%{sender.user:uppercase}", "a@b", "/m/S"), ("/m/%{mbox.from}", "a@b", "/m/s@example.net"),
        ("/m/100%/%d", "a@b", "/m/100%/%d"), ("/m/%{dest.user[7:99]}x", "abcdefgh@e", "/m/hx"),
    ])
    func `values come in`(template: String, recipient: String, expected: String) throws {
        #expect(try path(template, to: recipient) == expected)
    }

    @Test(arguments: [
        ("\"a/b\"@c", "/m/a:b"), ("\"../x\"@c", "/m/..:x"), ("\"a b;$(c)\"@d", "/m/a:b:::c:"), ("a!b|c@d", "/m/a:b:c"),
        ("a@[192.0.2.1]", "/m/a"),
    ])
    func `nothing of an address leads elsewhere`(recipient: String, expected: String) throws {
        #expect(try path("/m/%{dest.user}", to: recipient) == expected)
        #expect(!(try path("/m/%{dest.user:raw}", to: recipient)).dropFirst(3).contains("/"))
    }

    @Test(arguments: [
        ("/m/%{dest.user}", "\"..\"@b", "550 5.1.3"), ("/m/%{dest.user}", "\".\"@b", "550 5.1.3"),
        ("/m/%{sender.user}", "a@b", "451 4.3.5"), ("/m/%{mda}", "a@b", "451 4.3.5"),
        ("/m/%{dest.user[5]}", "a@b", "451 4.3.5"), ("/", "a@b", "451 4.3.5"),
        ("/m/%{dest}%{dest}%{dest}%{dest}", String(repeating: "a", count: 60) + "@b.example", "550 5.1.3"),
    ])
    func `a path that must not be`(template: String, recipient: String, reply: String) throws {
        let failure = #expect(throws: DeliveryFailure.self) { try path(template, to: recipient, from: nil) }
        #expect(failure?.reply.summary.hasPrefix(reply) == true)
    }
}

struct AgentLookupTests {
    private static let people: [String: (uid: UInt32, gid: UInt32)] = [
        "root": (0, 0), "alice": (1001, 100), "bob+x": (1002, 100), "bob": (1003, 100), "Carl": (1004, 100),
        "vmail": (5000, 5000),
    ]

    private func lookup(own: UInt32 = 0) throws -> RecipientLookup {
        let text = """
            table virtuals { "dora" = "6001:6000:/v/dora", "toor" = "0:0:/" }
            action "local" maildir
            action "shared" maildir "/v/%{dest.domain}/%{dest.user}" user vmail
            action "lost" maildir user nobody-here
            action "table" maildir userbase <virtuals>
            action "remote" relay
            match for any action "remote"
            """
        let facts = EnvironmentFacts(uid: 0)
        let configuration = try Configuration.parse(text: text, path: "pouch.conf", facts: facts) { _ in "" }
        let accounts = AccountSource(
            user: { (name) throws(CommandFailure) in
                guard name != "later" else { throw CommandFailure(.temporaryFailure, "cannot ask for later.") }
                return Self.people[name].map {
                    Account(name: name, uid: $0.uid, gid: $0.gid, home: "/home/\(name)", shell: "")
                }
            }, groups: { (account) throws(CommandFailure) in [account.gid, 7] })
        return RecipientLookup(
            configuration: configuration, tables: try TableSet(opening: configuration) { _ in }, ownUID: own,
            accounts: accounts)
    }

    private func order(_ recipient: String, _ action: String?, own: UInt32 = 0) throws -> DeliveryOrder {
        try lookup(own: own).order(
            for: RecipientRequest(recipient: Recipient(try mailbox(recipient)), action: action), from: .null)
    }

    @Test(arguments: [
        ("alice@x", "local", UInt32(1001), "/home/alice/Maildir"), ("Alice@x", "local", 1001, "/home/alice/Maildir"),
        ("Carl@x", "local", 1004, "/home/Carl/Maildir"), ("alice+a+b@x", "local", 1001, "/home/alice/Maildir"),
        ("bob+x@x", "local", 1002, "/home/bob+x/Maildir"), ("bob+y@x", "local", 1003, "/home/bob/Maildir"),
        ("any.one@x.example", "shared", 5000, "/v/x.example/any.one"), ("dora+z@x", "table", 6001, "/v/dora/Maildir"),
    ])
    func `who is acted as, and where`(recipient: String, action: String, uid: UInt32, path: String) throws {
        let order = try order(recipient, action)
        #expect(order.uid == uid && order.identity?.uid == uid)
        #expect(order.job.maildir == path)
        #expect(order.job.recipient == (try mailbox(recipient)))
        // The system's users have all their groups, a table's only their own.
        #expect(order.identity?.groups == (action == "table" ? [6000] : [order.identity?.gid ?? 0, 7]))
    }

    @Test(arguments: [
        ("no action", "alice@x", nil as String?, "550 5.5.4"), ("an unknown action", "alice@x", "new", "451 4.3.5"),
        ("another method", "alice@x", "remote", "550 5.3.5"), ("an unknown user", "eve@x", "local", "550 5.1.1"),
        ("an unknown virtual user", "alice@x", "table", "550 5.1.1"), ("root", "root@x", "local", "550 5.7.1"),
        ("root by a sub-address", "ROOT+x@x", "local", "550 5.7.1"),
        ("uid 0 from a table", "toor@x", "table", "550 5.7.1"),
        ("an action whose user is gone", "alice@x", "lost", "451 4.3.5"),
        ("a service that does not answer", "later@x", "local", "451 4.3.0"),
        ("a sub-address of nobody", "+alice@x", "local", "550 5.1.1"),
    ])
    func `who is not delivered to`(reason: String, recipient: String, action: String?, reply: String) throws {
        let failure = #expect(throws: DeliveryFailure.self) { try order(recipient, action) }
        #expect(failure?.reply.summary.hasPrefix(reply) == true, "\(reason)")
    }

    @Test func `who is not root delivers as itself alone`() throws {
        #expect(try order("alice@x", "local", own: 1001).identity == nil)
        for recipient in ["bob@x", "root@x"] {
            let failure = #expect(throws: DeliveryFailure.self) { try order(recipient, "local", own: 1001) }
            #expect(failure?.reply.summary.hasPrefix("451 4.3.0 only root can deliver to other users") == true)
        }
    }
}
