import Glibc
import MailModel
import Routing
import SMTPProtocol
import Testing

@testable import mail_listen

/// One recipient, who asks, and what is answered: nil accepts.
struct JudgeCase: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var recipient: String
    var client: String
    var reply: String?
    var hasTrouble: Bool

    init(_ why: String, _ recipient: String, from client: String = "192.0.2.1", _ reply: String?, trouble: Bool = false)
    {
        (testDescription, self.recipient, self.client, self.reply) = (why, recipient, client, reply)
        hasTrouble = trouble
    }
}

struct RecipientJudgeTests {
    static let text = """
        table aliases { foobar = "error:550 5.7.1 gone fishing", tired = "error:451 4.2.1 come back", \
            bob = alice, both = "alice, nobody", ring = ring2, ring2 = ring, hangs = slow, file = "/var/log/x", \
            away = "carol@else.example" }
        action local maildir alias <aliases>
        action out relay
        match from src 203.0.113.0/24 for any reject
        match from any for domain example.test action local
        match from local for any action out
        """
    static let denied = "550 5.7.1 Relaying denied: mail for this address is not taken here"
    static let unknown = "550 5.1.1 There is no such user here"
    static let notNow = "451 4.3.5 The recipient cannot be checked now, try again later"

    static let cases = [
        JudgeCase("a user", "alice@example.test", nil),
        JudgeCase("a user with a sub-address", "alice+news@example.test", nil),
        JudgeCase("an alias", "BOB@Example.Test", nil),
        JudgeCase("one good target is enough", "both@example.test", nil),
        JudgeCase("nobody", "nobody@example.test", unknown),
        JudgeCase("a permanent error alias, word for word", "foobar@example.test", "550 5.7.1 gone fishing"),
        JudgeCase("a temporary error alias", "tired@example.test", "451 4.2.1 come back"),
        JudgeCase("a directory that does not answer tells no path", "slow@example.test", notNow, trouble: true),
        JudgeCase("the same behind an alias", "hangs@example.test", notNow, trouble: true),
        JudgeCase(
            "a circle names no alias", "ring@example.test",
            "550 5.4.6 This address cannot be delivered to, ask its postmaster", trouble: true),
        JudgeCase(
            "an alias to a file", "file@example.test",
            "550 5.3.3 This address cannot be delivered to, ask its postmaster", trouble: true),
        JudgeCase("relaying for strangers", "x@else.example", denied),
        JudgeCase("relaying for ourselves", "x@else.example", from: "127.0.0.2", nil),
        JudgeCase("relaying over IPv6 loopback", "x@else.example", from: "::1", nil),
        JudgeCase("a pipe or a Unix socket", "x@else.example", from: "local", nil),
        JudgeCase("no address at all is not local", "x@else.example", from: "unknown", denied),
        JudgeCase("a rule that rejects says nothing else", "alice@example.test", from: "203.0.113.9", denied),
        JudgeCase("an alias that leads out is matched as ours", "away@example.test", nil),
        JudgeCase("postmaster without an account", "Postmaster@example.test", nil),
        JudgeCase("postmaster of the machine, though no rule takes its mail", "postmaster@mail.example.test", nil),
        JudgeCase("postmaster of localhost", "postmaster@localhost", nil),
        JudgeCase("postmaster elsewhere", "postmaster@else.example", denied),
        JudgeCase(
            "postmaster too for whom a rule rejects", "postmaster@mail.example.test", from: "203.0.113.9", denied),
    ]

    private func facts(_ row: JudgeCase) throws -> MatchFacts {
        MatchFacts(
            origin: .session(SessionOrigin(clientAddress: row.client)), reversePath: .null,
            recipient: try mailbox(row.recipient))
    }

    @Test(arguments: cases) func verdict(_ row: JudgeCase) throws {
        let judge = RecipientJudge(try setting(Self.text).router)
        let verdict = judge.verdict(try facts(row))
        #expect(verdict.reply?.summary == row.reply)
        #expect((verdict.trouble != nil) == row.hasTrouble)
        // What memory says is never something else.
        if let early = judge.verdictFromMemory(try facts(row)) { #expect(early == verdict) }
    }

    @Test func anOperatorMayRefusePostmaster() throws {
        let text = """
            table aliases { postmaster = "error:550 5.7.1 write a letter" }
            action local maildir alias <aliases>
            match from any for any action local
            """
        let judge = RecipientJudge(try setting(text).router)
        let facts = MatchFacts(client: .local, reversePath: .null, recipient: try mailbox("postmaster@example.test"))
        #expect(judge.verdict(facts).reply?.summary == "550 5.7.1 write a letter")
    }

    @Test(arguments: [
        ("relay by rules in memory", "match from any for any action out", true),
        ("local delivery asks for users", "match from any for any action local", false),
        ("a table in the configuration", "table t { example.test }\nmatch from any for domain <t> action out", true),
        ("a table in a file", "table t file:FOLDER/domains\nmatch from any for domain <t> action out", false),
    ])
    func onlyMemoryIsAskedOnTheLoop(_ why: String, rule: String, isInMemory: Bool) throws {
        let spool = try TemporarySpool()
        let folder = spool.folder
        let file = try #require(fopen("\(folder)/domains", "w"))
        fputs("example.test\n", file)
        fclose(file)
        let parts = rule.split(separator: "FOLDER", omittingEmptySubsequences: false)
        let text = "action out relay\naction local maildir\n" + parts.joined(separator: folder)
        let judge = RecipientJudge(try setting(text).router)
        let facts = MatchFacts(client: .local, reversePath: .null, recipient: try mailbox("a@example.test"))
        withExtendedLifetime(spool) { #expect((judge.verdictFromMemory(facts) != nil) == isInMemory) }
    }
}
