// Owns: tests of what a command line is read as. Dialogues test the replies; here the values count.

import MailModel
import Testing

@testable import SMTPProtocol

struct CommandTests {
    @Test(arguments: [
        ("<>", Path.null, ""), ("  <>", .null, ""), ("<postmaster>", .postmaster, ""),
        ("<POSTMASTER> X", .postmaster, " X"),
        ("<\"postmaster\">", .postmaster, ""),
    ])
    func pathsWithoutMailbox(_ text: String, _ path: Path, _ rest: String) throws {
        let read = try #require(Path.read(text[...]))
        #expect(read.path == path && read.rest == rest)
    }

    @Test(arguments: [
        ("<a@b.example>", "a", "b.example", ""),
        ("<a.b+c@b.example> SIZE=1", "a.b+c", "b.example", " SIZE=1"),
        ("<\"a b\"@b.example>", "a b", "b.example", ""),
        ("<\"a\\\"b\"@b.example>", "a\"b", "b.example", ""),
        ("<\"a@x>\"@b.example>", "a@x>", "b.example", ""),
        ("<@x:a@b.example>", "a", "b.example", ""),
        ("<@x.example,@y:a@b.example>", "a", "b.example", ""),
        ("<a@[192.0.2.1]>", "a", "[192.0.2.1]", ""),
        ("<a@[x>y]>", "a", "[x>y]", ""),
    ])
    func paths(_ text: String, _ local: String, _ domain: String, _ rest: String) throws {
        let read = try #require(Path.read(text[...]))
        #expect(read.path == .mailbox(try #require(Mailbox(localPart: local, domain: domain))) && read.rest == rest)
    }

    @Test(arguments: [
        "", " ", "<", "<<", "< >", "<a", "<a>", "<a@>", "<@b>", "<a@b", "a@b", "<a@b.>", "<.a@b>", "<a..b@c>",
        "<a b@c>",
        "<\"a@b>", "<\"\"@b>", "<\"a\"b@c>", "<@x a@b>", "<@x,:a@b>", "<@:a@b>", "<x:a@b>", "<a@[b>", "<a@[]>",
        "<a@b]>",
        "<a@b@c>", "<a\u{0}@b>", "<a@b\u{7f}>", "<" + String(repeating: "a", count: 65) + "@b>", "<a@-b>",
        "<a@" + String(repeating: "b", count: 64) + ">",
    ])
    func noPath(_ text: String) { #expect(Path.read(text[...]) == nil) }

    @Test func parametersOfMail() throws {
        let command = try Self.read("mail FROM:<a@b> body=8bitmime SIZE=00042")
        let mailbox = try #require(Mailbox("a@b"))
        #expect(command == .mail(SenderRequest(reversePath: .mailbox(mailbox), size: 42, body: .eightBitMIME)))
        let huge = try Self.read("MAIL FROM:<> SIZE=99999999999999999999")
        #expect(huge == .mail(SenderRequest(reversePath: .null, size: Int.max)))
    }

    @Test func actionStandsAsItIs() throws {
        let mailbox = try #require(Mailbox("a@b"))
        let command = try Self.read("RCPT TO:<a@b> xaction=a+2Bb", takesAction: true)
        #expect(command == .rcpt(.mailbox(mailbox), action: "a+2Bb"))
        #expect(throws: Refusal(ServerReplies.unknownParameter)) { try Self.read("RCPT TO:<a@b> XACTION=a") }
        for odd in ["XACTION", "XACTION=", "XACTION=a=b", "XACTION=a XACTION=a"] {
            #expect(throws: Refusal(ServerReplies.badParameter)) {
                try Self.read("RCPT TO:<a@b> \(odd)", takesAction: true)
            }
        }
    }

    @Test(arguments: [
        ("HELO a", Command.helo("a")), ("ehlo  [192.0.2.1] \t", .ehlo("[192.0.2.1]")), ("LHLO x_y", .lhlo("x_y")),
        ("Data ", .data), ("NOOP x", .noop), ("help me", .help), ("vrfy <a@b>", .vrfy), ("expn x", .expn),
        ("quit", .quit),
    ])
    func others(_ line: String, _ command: Command) throws { #expect(try Self.read(line) == command) }

    @Test func helloIsBounded() throws {
        let name = String(repeating: "h", count: 255)
        #expect(try Self.read("EHLO " + name) == .ehlo(name))
        #expect(throws: Refusal(ServerReplies.badHello)) { try Self.read("EHLO h" + name) }
    }

    private static func read(_ line: String, takesAction: Bool = false) throws(Refusal) -> Command {
        try Command(Array(line.utf8)[...], takesAction: takesAction)
    }
}
