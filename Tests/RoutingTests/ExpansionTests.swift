import Glibc
import MailModel
import Testing

@testable import Routing

/// Expansions by a small configuration; users are fred, wilma, root and x+y.
@Suite struct ExpansionTests {
    private static let text = """
        table aliases {
            me = "me", both = "both, wilma", staff = "fred, wilma, Fred, bob@example.net",
            foobar = "error:550 text", later = "error:451 not now", a = b, b = c, c = a,
            nested = "staff, wilma", file = "/var/mail/x", command = "|run", list = ":include:/list",
            selflist = ":include:/self", gone = ":include:/gone", nobody = "ghost", half = "fred, ghost",
            out = "fred@example.net", back = "fred@localhost", loop1 = "loop2@localhost", loop2 = "loop1@localhost",
            tagged = "fred+news", refused = "x@refused.example", bad = ":include:/bad", wilma = "wilma+x",
            d1 = d2, d2 = d3, d3 = d4, d4 = d5, d5 = d6, d6 = d7, d7 = d8, d8 = d9, d9 = d10, d10 = d11, d11 = fred
        }
        table virtual {
            "fred@virtual.example" = fred, info = "fred, x@example.net", "@virtual.example" = wilma,
            "self@virtual.example" = "self@virtual.example"
        }
        action local maildir alias <aliases>
        action virtual maildir virtual <virtual> alias <aliases>
        action vmail maildir user fred
        action expand expand-only alias <aliases>
        action forward forward-only alias <aliases>
        action out relay
        match from any for local action local
        match from any for domain virtual.example action virtual
        match from any for domain vmail.example action vmail
        match from any for domain expand.example action expand
        match from any for domain forward.example action forward
        match from any for domain refused.example reject
        match from local for any action out
        """

    private func expansion(_ address: String) throws -> Expansion {
        let configuration = try parse(Self.text)
        let tables = try TableSet(
            opening: configuration,
            users: { name in
                if name == "broken" { return .temporaryFailure("the directory is away") }
                return ["fred", "wilma", "root", "x+y", "me", "both"].contains(name)
                    ? .found(UserInfo(uid: 1, gid: 1, home: "/")) : .notFound
            }, report: { _ in })
        let router = Router(configuration: configuration, tables: tables, localNames: []) {
            (path: String) throws(UnreadableFile) -> String in
            switch path {
            case "/list": return "# members\nfred, wilma\n\n x@example.net\r\n"
            case "/self": return "selflist, :include:/self\n"
            case "/bad": return "fred\na b\n"
            default: throw UnreadableFile("no such file.")
            }
        }
        let recipient = try #require(Mailbox(address))
        let facts = MatchFacts(client: .unknown, reversePath: .null, recipient: recipient)
        return router.expand(facts)
    }

    @Test(
        arguments: [
            ("fred@localhost", ["fred@localhost local"]), ("FRED@localhost", ["FRED@localhost local"]),
            ("fred+x@localhost", ["fred+x@localhost local"]), ("x+y@localhost", ["x+y@localhost local"]),
            ("me@localhost", ["me@localhost local"]),
            ("both@localhost", ["both@localhost local", "wilma+x@localhost local"]),
            ("staff@localhost", ["fred@localhost local", "wilma+x@localhost local", "bob@example.net out"]),
            ("nested@localhost", ["fred@localhost local", "wilma+x@localhost local", "bob@example.net out"]),
            ("list@localhost", ["fred@localhost local", "wilma+x@localhost local", "x@example.net out"]),
            ("out@localhost", ["fred@example.net out"]), ("back@localhost", ["fred@localhost local"]),
            ("tagged@localhost", ["fred+news@localhost local"]), ("half@localhost", ["fred@localhost local"]),
            ("fred@virtual.example", ["fred@virtual.example virtual"]),
            ("fred+x@virtual.example", ["fred@virtual.example virtual"]),
            ("info@virtual.example", ["fred@virtual.example virtual", "x@example.net out"]),
            ("anyone@virtual.example", ["wilma+x@virtual.example virtual"]),
            ("whoever+x@vmail.example", ["whoever+x@vmail.example vmail"]),
            ("out@expand.example", ["fred@example.net out"]), ("out@forward.example", ["fred@example.net out"]),
        ] as [(String, [String])])
    func targets(address: String, expected: [String]) throws {
        let expansion = try expansion(address)
        #expect(expansion.targets.map { "\($0.mailbox) \($0.action)" } == expected)
        #expect(expansion.refusal == nil)
    }

    @Test(
        arguments: [
            ("ghost@localhost", "550 5.1.1 no such user: ghost", 67),
            ("nobody@localhost", "550 5.1.1 no such user: ghost", 67),
            ("foobar@localhost", "550 5.1.1 text", 69), ("FooBar+x@localhost", "550 5.1.1 text", 69),
            ("later@localhost", "451 4.3.0 not now", 75), ("broken@localhost", "451 4.3.0 the directory is away", 75),
            ("a@localhost", "550 5.4.6 aliases go in a circle: a@localhost -> b -> c -> a", 69),
            (
                "loop1@localhost",
                "550 5.4.6 aliases go in a circle: loop1@localhost -> loop2@localhost -> loop1@localhost", 69
            ),
            ("selflist@localhost", "550 5.1.1 no such user: selflist", 69),
            ("file@localhost", "550 5.3.3 delivery to files is not supported by this release of Pouch", 69),
            ("command@localhost", "550 5.3.3 delivery to commands is not supported by this release of Pouch", 69),
            ("gone@localhost", "451 4.3.0 cannot read /gone: no such file.", 75),
            (
                "bad@localhost",
                "451 4.3.0 /bad: line 2: \"a b\" is no target; expected a user, an address, /file, |command, :include:/file or error:",
                75
            ),
            ("d1@localhost", "550 5.2.4 aliases are nested deeper than 10", 69),
            ("x@refused.example", "550 5.7.1 rejected by a rule", 69),
            ("refused@localhost", "550 5.7.1 rejected by a rule", 69),
            ("x@elsewhere.example", "550 5.7.1 no rule takes mail for this address", 69),
            ("fred@expand.example", "550 5.2.1 the action expand delivers only what an alias sends on", 69),
            ("fred@forward.example", "550 5.2.1 the action forward delivers only to other addresses", 69),
        ] as [(String, String, Int32)])
    func refusals(address: String, summary: String, status: Int32) throws {
        let expansion = try expansion(address)
        #expect(expansion.refusal?.summary == summary)
        #expect(expansion.exitStatus == status)
    }

    @Test func oneBadMemberDoesNotStopAList() throws {
        let half = try expansion("half@localhost")
        #expect(half.refusal == nil && half.refusals.count == 1 && half.exitStatus == 67)
    }

    @Test func eachStepKnowsItsLine() throws {
        let root = try expansion("staff@localhost").nodes[0]
        #expect(root.entry?.line == 2 && root.entry?.file == "test.conf" && root.entry?.key == "staff")
        #expect(root.rule?.line == 20 && root.action == "local")
    }

    @Test func theTreeReadsWell() throws {
        let text = ExpansionText(try expansion("staff@localhost"), try parse(Self.text)).lines
        #expect(
            text == [
                "staff@localhost: action \"local\" (test.conf:20), \"staff\" in table aliases (test.conf:2)",
                "|- fred: user fred, maildir ~/Maildir", "|- wilma: \"wilma\" in table aliases (test.conf:7)",
                // A sub-address has its user's alias; that names itself, and so delivers.
                "|  `- wilma+x: \"wilma\" in table aliases (test.conf:7)",
                "|     `- wilma+x: user wilma, sub-address x, maildir ~/Maildir",
                "|- Fred: stands above already, gets one copy",
                "`- bob@example.net: action \"out\" (test.conf:26), relay by MX of example.net",
            ])
        let refused = ExpansionText(try expansion("later@localhost"), try parse(Self.text)).lines
        #expect(refused.last == "`- error:451 not now: later: 451 4.3.0 not now")
    }

    @Test func eachRuleIsToldOf() throws {
        let configuration = try parse("action a relay\nmatch from any tag x for any reject\nmatch for any action a")
        let router = Router(configuration: configuration, tables: TableSet(tables: []), localNames: [])
        let facts = MatchFacts(client: .local, reversePath: .null, recipient: try #require(Mailbox("x@y.example")))
        let expansion = router.expand(facts)
        #expect(expansion.asksRules(0))
        let text = ExpansionText(expansion, configuration) { $0 == 0 ? router.explain(facts) : [] }
        #expect(
            text.lines == [
                "x@y.example: action \"a\" (test.conf:3), relay by MX of y.example",
                "   no  test.conf:2: match from any tag \"x\" for any reject: not tag \"x\"",
                "   yes test.conf:3: match from local for any action \"a\"",
            ])
    }

    @Test func aDuplicateIsShownOnce() throws {
        #expect(try expansion("x+y@localhost").nodes[0].leaf == .local(user: "x+y", extension: nil))
        #expect(try expansion("fred+y@localhost").nodes[0].leaf == .local(user: "fred", extension: "y"))
        let leaves = try expansion("staff@localhost").nodes.filter { $0.leaf == .duplicate }
        #expect(leaves.map(\.subject) == [.user("Fred")])
    }

    /// 200 lists of 200 members are 40,000 targets.
    @Test func theWidthIsBounded() throws {
        let wide = (0..<200).map { "u\($0)" }.joined(separator: ",")
        let entries = [("all", wide)] + (0..<200).map { ("u\($0)", (0..<200).map { "v\($0)" }.joined(separator: ",")) }
        let table = StaticTable(name: "t", mapping: entries.map { .init(key: $0, value: $1) })
        var action = Action(name: "x", method: .maildir(path: nil))
        action.aliasTable = "t"
        let tables = TableSet(tables: [table]) { _ in .notFound }
        let expansion = expand(try #require(Mailbox("all@x")), action: action, tables: tables)
        #expect(expansion.nodes.count <= Expander.widthLimit)
        #expect(expansion.refusals.contains { $0.error.text.contains("more than 1000") })
    }

    /// A table without end: each name stands for the next.
    private struct Endless: Table {
        let name = "t"
        /// How long each answer takes, in milliseconds.
        var pause: Int32 = 0
        func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> {
            poll(nil, 0, pause)
            let next = Int(key.dropFirst()).map { "a\($0 + 1)" } ?? "a1"
            return .found(TableEntry(table: name, key: key, value: next))
        }
        func all() -> LookupResult<[TableEntry]> { .notFound }
    }

    private func endless(_ table: Endless, limit: Duration = Expander.timeLimit) throws -> Expansion {
        let configuration = try parse("table t proc:/x\naction a maildir alias <t>\nmatch from any for any action a")
        let router = Router(
            configuration: configuration, tables: TableSet(tables: [table]), localNames: [], timeLimit: limit)
        let recipient = try #require(Mailbox("a0@x.example"))
        return router.expand(MatchFacts(client: .local, reversePath: .null, recipient: recipient))
    }

    @Test func anEndlessAliasEnds() throws {
        let expansion = try endless(Endless())
        #expect(expansion.refusal?.summary == "550 5.2.4 aliases are nested deeper than 10")
        #expect(expansion.nodes.count == 11)
    }

    @Test func theTimeIsBounded() throws {
        let expansion = try endless(Endless(pause: 5), limit: .milliseconds(12))
        #expect(expansion.refusal?.isTemporary == true && expansion.exitStatus == 75)
        #expect(expansion.refusal?.text == "the address could not be expanded within 0s")
    }

    @Test(
        arguments: [
            ("\"john doe\"@v.example", "johnny"), ("\"John Doe+x\"@v.example", "johnny"),
            ("\"a b\"@v.example", "alpha"), ("plain@v.example", "rest"), ("\"c d\"@v.example", "delta"),
        ])
    func quotedLocalParts(address: String, user: String) throws {
        let text = """
            "john doe"@v.example: johnny
            "a b@v.example" alpha
            "c d": delta
            @v.example: rest
            """
        let entries = try TableText.entries(SourceText(path: "virtual", text: text), table: "v")
        let table = StaticTable(name: "v", mapping: entries.map { .init(key: $0.key, value: $0.value ?? "") })
        var action = Action(name: "x", method: .maildir(path: nil))
        action.virtualTable = "v"
        let tables = TableSet(tables: [table]) { _ in .found(UserInfo(uid: 1, gid: 1, home: "/")) }
        let expansion = expand(try #require(Mailbox(address)), action: action, tables: tables)
        #expect(expansion.targets.map(\.leaf) == [.local(user: user, extension: nil)])
    }

    /// `user` names an account of the system, whatever `userbase` holds.
    @Test func theActionsUserIsTheSystems() throws {
        var action = Action(name: "x", method: .maildir(path: nil))
        (action.user, action.userTable) = ("vmail", "nobody")
        let tables = TableSet(tables: []) { $0 == "vmail" ? .found(UserInfo(uid: 1, gid: 1, home: "/")) : .notFound }
        #expect(expand(try #require(Mailbox("a@b")), action: action, tables: tables).refusal == nil)
    }

    @Test func askingTwiceAndAnsweringUnaskedIsHarmless() throws {
        var expander = Expander(try #require(Mailbox("a@b")))
        expander.answer(.exists)
        #expect(expander.next() == expander.next())
        expander.answer(.exists)
        #expect(expander.next() == nil)
        #expect(expander.expansion.refusal?.isTemporary == true)
    }
}
