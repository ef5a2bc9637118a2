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
        let matcher = RuleMatcher(rules: [rule], localNames: [], lookups: TableSet(tables: []))
        let (here, there) = (try #require(Mailbox("a@localhost")), try #require(Mailbox("a@example.org")))
        #expect(
            matcher.firstMatch(MatchFacts(client: .local, reversePath: .null, recipient: here)) == .rule(rule, index: 0)
        )
        #expect(matcher.firstMatch(MatchFacts(client: .local, reversePath: .null, recipient: there)) == .none)
        #expect(matcher.firstMatch(MatchFacts(client: .unknown, reversePath: .null, recipient: here)) == .none)
    }

    @Test func aTableThatFailsDefersOnlyWhatDependsOnIt() throws {
        let rules = [
            Rule(
                conditions: [.init(.fromAny), .init(.forDomain(.named("gone"))), .init(.tag("t"))], outcome: .reject,
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
