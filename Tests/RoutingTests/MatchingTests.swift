import MailModel
import Testing

@testable import Routing

/// Which line of a small configuration takes a recipient.
@Suite struct MatchingTests {
    private static let text = """
        table inside { 192.0.2.0/24, 2001:db8::/32 }
        table domains { example.org, *.example.com }
        action a relay
        match from src <inside> for any action a
        match from any for domain <domains> action a
        match tag vip from any for any action a
        match auth from any for any action a
        match from mail-from "@boss.example" for rcpt-to "fred@partner.example" action a
        match from local !for domain "blocked.example" action a
        match from any for local action a
        match from mail-from "<>" for domain "null.example" reject
        match for any reject
        """

    private func line(_ facts: MatchFacts) throws -> Int {
        let configuration = try parse(Self.text)
        let tables = try TableSet(opening: configuration) { _ in }
        let matcher = RuleMatcher(rules: configuration.rules, localNames: ["Mail.Example.NET"], lookups: tables)
        if case .rule(let rule, _) = matcher.firstMatch(facts) { return rule.line }
        return 0
    }

    @Test(
        arguments: [
            ("192.0.2.7", "a@b.example", nil, false, "x@y.example", 4),
            ("::ffff:192.0.2.7", "a@b.example", nil, false, "x@y.example", 4),
            ("2001:db8::7", "a@b.example", nil, false, "x@y.example", 4),
            ("198.51.100.1", "a@b.example", nil, false, "x@Example.ORG", 5),
            ("198.51.100.1", "a@b.example", nil, false, "x@a.b.example.com", 5),
            ("198.51.100.1", "a@b.example", "vip", false, "x@y.example", 6),
            ("198.51.100.1", "a@b.example", "VIP", false, "x@y.example", 0),
            ("198.51.100.1", "a@b.example", nil, true, "x@y.example", 7),
            ("198.51.100.1", "me@boss.example", nil, false, "fred@partner.example", 8),
            ("198.51.100.1", "me@boss.example", nil, false, "wilma@partner.example", 0),
            ("local", "a@b.example", nil, false, "x@y.example", 9),
            ("127.0.0.1", "a@b.example", nil, false, "x@y.example", 9),
            ("127.3.2.1", "a@b.example", nil, false, "x@y.example", 9),
            ("::1", "a@b.example", nil, false, "x@y.example", 9),
            ("::1", "a@b.example", nil, false, "x@blocked.example", 12),
            ("198.51.100.1", "", nil, false, "x@localhost", 10),
            ("198.51.100.1", "a@b.example", nil, false, "x@MAIL.example.net", 10),
            ("198.51.100.1", "a@b.example", nil, false, "x@y.example", 0),
            ("no address", "a@b.example", nil, false, "x@y.example", 0),
            ("198.51.100.1", "", nil, false, "x@null.example", 11),
            ("198.51.100.1", "a@b.example", nil, false, "x@null.example", 0),
        ] as [(String, String, String?, Bool, String, Int)])
    func rules(
        client: String, sender: String, tag: String?, authenticated: Bool, recipient: String, expected: Int
    ) throws {
        let origin = Origin.session(
            SessionOrigin(clientAddress: client, tag: tag, user: authenticated ? "fred" : nil))
        let facts = MatchFacts(
            origin: origin, reversePath: Mailbox(sender).map { .mailbox($0) } ?? .null,
            recipient: try #require(Mailbox(recipient)))
        #expect(try line(facts) == expected)
    }

    @Test func submissionsAndNotificationsAreLocal() throws {
        let recipient = try #require(Mailbox("x@y.example"))
        for origin in [
            Origin.submission(uid: 1000), .notification(about: QueueID(now: Timestamp(seconds: 0), random: 0)),
        ] {
            #expect(try line(MatchFacts(origin: origin, reversePath: .null, recipient: recipient)) == 9)
        }
    }

    /// A rule made by hand without `from` must not be an open relay.
    @Test func anEmptyRuleIsLocal() throws {
        let rule = Rule(conditions: [], outcome: .reject, line: 1)
        let written = Rule(conditions: [.init(.fromLocal), .init(.forLocal)], outcome: .reject, line: 1)
        let matcher = RuleMatcher(rules: [rule], localNames: [], lookups: TableSet(tables: []))
        let (here, there) = (try #require(Mailbox("a@localhost")), try #require(Mailbox("a@example.org")))
        #expect(
            matcher.firstMatch(MatchFacts(client: .local, reversePath: .null, recipient: here))
                == .rule(written, index: 0)
        )
        #expect(matcher.firstMatch(MatchFacts(client: .local, reversePath: .null, recipient: there)) == .none)
        #expect(matcher.firstMatch(MatchFacts(client: .unknown, reversePath: .null, recipient: here)) == .none)
    }

    /// Each condition alone, with facts for which it holds and facts for which it does not; `!` turns both round.
    @Test(
        arguments: [
            ("from socket", "local", "127.0.0.1"), ("from local", "127.0.0.1", "192.0.2.7"),
            ("from src 192.0.2.0/24", "192.0.2.7", "192.0.3.7"), ("from src <nets>", "192.0.2.7", "local"),
            ("from src regex \"^192[.]0[.]2\"", "192.0.2.7", "198.51.100.1"),
            ("from src regex <patterns>", "fd00::1", "192.0.2.7"),
            ("from rdns", "192.0.2.7 rdns=a.example.org", "192.0.2.7 rdns=-"),
            ("from rdns \"*.example.org\"", "192.0.2.7 rdns=A.Example.Org", "192.0.2.7 rdns=a.example.net"),
            ("from rdns <names>", "192.0.2.7 rdns=one.example.net", "local"),
            ("from rdns regex \"^dyn\"", "192.0.2.7 rdns=dyn-7.example.net", "192.0.2.7 rdns=mail.example.net"),
            ("from auth", "192.0.2.7 user=fred", "192.0.2.7"), ("from auth fred", "192.0.2.7 user=fred", "192.0.2.7"),
            ("from auth <people>", "192.0.2.7 user=wilma", "192.0.2.7 user=Wilma"),
            ("from auth regex \"^f\"", "192.0.2.7 user=fred", "192.0.2.7 user=wilma"),
            ("from mail-from regex \"^$\"", "192.0.2.7 from=", "192.0.2.7"),
            ("from mail-from regex \"@(a|b)[.]example$\"", "192.0.2.7", "192.0.2.7 from=x@c.example"),
            ("for rcpt-to regex \"^root@\"", "local to=ROOT@c.example", "local to=fred@c.example"),
            ("for domain regex <patterns>", "local to=x@fd00.example", "local to=x@a.example"),
            ("for rcpt-to <people>", "local to=fred@c.example", "local to=barney@c.example"),
            ("tag a", "local tag=a", "local tag=b"), ("tag { a, b }", "local tag=b", "local"),
            ("tag <people>", "local tag=fred", "local tag=a"), ("tag regex \"^ms\"", "local tag=msa", "local tag=a"),
            ("helo \"*.example.org\"", "local helo=a.example.org", "local helo=example.org"),
            ("helo <names>", "local helo=ONE.example.net", "local helo=x"),
            ("helo regex \"^\\[\"", "local helo=[192.0.2.1]", "local helo=a"),
            ("tls", "local tls=", "local"), ("auth", "local user=fred", "local"),
            ("auth regex <patterns>", "local user=fd001", "local user=fred"),
        ] as [(String, String, String)])
    func condition(condition: String, holds: String, fails: String) throws {
        let defaults = (condition.hasPrefix("from") ? "" : "from any ") + (condition.hasPrefix("for") ? "" : "for any ")
        for negation in ["", "!", "! "] {
            let text = """
                table nets { 192.0.2.0/24 }
                table names { "*.example.net" }
                table people { fred, wilma }
                table patterns { "^fd00", "^zz" }
                action a relay
                match \(defaults)\(negation)\(condition) action a
                """
            let configuration = try parse(text)
            let tables = try TableSet(opening: configuration) { _ in }
            let matcher = RuleMatcher(rules: configuration.rules, localNames: [], lookups: tables)
            let expected = negation.isEmpty
            #expect((matcher.firstMatch(try facts(holds)) != .none) == expected, "\(configuration.rules)")
            #expect((matcher.firstMatch(try facts(fails)) == .none) == expected, "\(configuration.rules)")
        }
    }

    /// `CLIENT word=value ...`
    private func facts(_ text: String) throws -> MatchFacts {
        let words = text.split(separator: " ").map(String.init)
        var facts = MatchFacts(
            client: IPAddress(words[0]).map { .address($0) } ?? .local,
            reversePath: .mailbox(try #require(Mailbox("x@a.example"))),
            recipient: try #require(Mailbox("y@b.example")))
        for word in words.dropFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            switch parts[0] {
            case "rdns": facts.clientName = parts[1] == "-" ? .none : .name(parts[1])
            case "user": (facts.isAuthenticated, facts.user) = (true, parts[1])
            case "from": facts.reversePath = Mailbox(parts[1]).map { .mailbox($0) } ?? .null
            case "to": facts.recipient = try #require(Mailbox(parts[1]))
            case "tag": facts.tag = parts[1]
            case "helo": facts.helo = parts[1]
            default: facts.isTLS = true
            }
        }
        return facts
    }

    /// A name that was not looked up, or could not be, is not "none".
    @Test func aNameThatIsNotKnownDefers() throws {
        let rules = try parse("action a relay\nmatch from rdns for any action a\nmatch from any for any reject").rules
        let matcher = RuleMatcher(rules: rules, localNames: [], lookups: TableSet(tables: []))
        var unknown = try facts("192.0.2.7")
        unknown.clientName = .unknown("DNS is away")
        #expect(matcher.firstMatch(unknown) == .temporaryFailure("DNS is away"))
        #expect(matcher.firstMatch(try facts("local")) == .rule(rules[1], index: 1))
    }

    @Test func eachRuleSaysWhyItDoesNotHold() throws {
        let rules = try parse(Self.text).rules
        let tables = try TableSet(opening: try parse(Self.text)) { _ in }
        let matcher = RuleMatcher(rules: rules, localNames: [], lookups: tables)
        let verdicts = matcher.explain(try facts("127.0.0.1"))
        #expect(verdicts.map(\.rule.line) == [4, 5, 6, 7, 8, 9])
        #expect(verdicts.last?.outcome == .holds)
        #expect(verdicts[0].outcome == .fails(.init(.fromSource(.named("inside")))))
        #expect(verdicts[2].outcome == .fails(.init(.tag(.values(["vip"])))))
    }

    @Test func aTableThatFailsDefersOnlyWhatDependsOnIt() throws {
        let rules = [
            Rule(
                conditions: [.init(.fromAny), .init(.forDomain(.named("gone"))), .init(.tag(.values(["t"])))],
                outcome: .reject,
                line: 1),
            Rule(conditions: [.init(.fromAny), .init(.forAny)], outcome: .reject, line: 2),
        ]
        let matcher = RuleMatcher(rules: rules, localNames: [], lookups: TableSet(tables: []))
        let recipient = try #require(Mailbox("a@example.org"))
        let untagged = matcher.firstMatch(MatchFacts(client: .local, reversePath: .null, recipient: recipient))
        #expect(untagged == .rule(rules[1], index: 1))
        let tagged = matcher.firstMatch(MatchFacts(client: .local, tag: "t", reversePath: .null, recipient: recipient))
        #expect(tagged == .temporaryFailure("table gone is not defined"))
    }
}
