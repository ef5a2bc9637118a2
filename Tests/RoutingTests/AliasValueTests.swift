import MailModel
import Testing

@testable import Routing

@Suite struct AliasValueTests {
    private func address(_ text: String) -> AliasTarget { Mailbox(text).map { .address($0) } ?? .user("no address") }

    @Test func targets() throws {
        #expect(
            try AliasValue.parse("fred, a@example.org,/var/mail/x , |cmd -x, :include:/etc/list")
                == [
                    .user("fred"), address("a@example.org"), .file("/var/mail/x"), .command("cmd -x"),
                    .include("/etc/list"),
                ])
        #expect(try AliasValue.parse("\"|cmd a, b\", fred") == [.command("cmd a, b"), .user("fred")])
        #expect(try AliasValue.parse("|\"cmd \\\"x\\\"\"") == [.command("cmd \"x\"")])
        #expect(try AliasValue.parse("\"a b\"@example.org") == [address("\"a b\"@example.org")])
        #expect(try AliasValue.parse("fred,") == [.user("fred")])
        #expect(try AliasValue.parse("fred, # the rest, and more \" of it") == [.user("fred")])
        #expect(
            try AliasValue.parse("a#b, \"|cmd #3\", |cmd #2") == [.user("a#b"), .command("cmd #3"), .command("cmd")])
    }

    @Test(arguments: [
        ("error:550 text", "550 5.1.1 text"), (":error:550 text", "550 5.1.1 text"),
        ("ERROR:451 Try again, later", "451 4.3.0 Try again, later"),
        ("error:550 5.7.1 No", "550 5.7.1 No"), ("error:550 4.7.1 No", "550 5.1.1 4.7.1 No"),
        ("error:521 x", "521 5.0.0 x"), ("error:571 x", "571 5.0.0 x"),
        ("error:550 press # to go on", "550 5.1.1 press # to go on"),
        ("error:550 you're not allowed to mail foobar", "550 5.1.1 you're not allowed to mail foobar"),
        ("error:450 woops, temporary failure", "450 4.2.1 woops, temporary failure"),
    ])
    func errors(text: String, summary: String) throws {
        guard case .error(let error) = try AliasValue.parse(text).first else {
            Issue.record("no error")
            return
        }
        #expect(error.summary == summary)
    }

    @Test(arguments: [
        "", ",", "a,,b", "error:", "error:550", "error:550 ", "error:250 x", "error:600 x", "error:399 x",
        "error:5500 x", "#", "error:55 x",
        "error:550  x",
        "error:550 -x", "error:550 ü", "error:550x", "|", "|\"\"", "\"", "a b", "-x", ":include:list", "/a/../b", "a@",
        "@b",
        "a@b c", "\"a", "error:550 \(String(repeating: "x", count: 451))",
    ])
    func mistakes(text: String) { #expect(throws: MalformedValue.self) { try AliasValue.parse(text) } }

    @Test func aListIsBounded() {
        let text = (0...1000).map { "u\($0)" }.joined(separator: ",")
        #expect(throws: MalformedValue.self) { try AliasValue.parse(text) }
    }
}
