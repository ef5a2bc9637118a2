import MailModel
import Testing

@testable import SMTPProtocol

@Suite struct SubmissionHeaderTests {
    static let received =
        "Received: by host.example (Pouch, from userid 1000)\r\n\tid \(HeaderReceivedTests.id); "
        + "Sun, 22 Nov 2026 11:00:00 +0100\r\n"
    static let date = "Date: Sun, 22 Nov 2026 11:00:00 +0100\r\n"
    static let from = "From: Joe User <joe@d.example>\r\n"
    static let identifier = "Message-ID: <tok1@host.example>\r\n"
    static let added = date + from + identifier
    /// A header that lacks nothing.
    static let whole = "Date: x\r\nFrom: a@x.example\r\nMessage-ID: <y@z>\r\n"

    static func complete(_ text: String, takes: Bool = false, name: String? = "Joe User") throws -> SubmissionHeader {
        let facts = SubmissionFacts(
            sender: try #require(Mailbox("joe@d.example")), fullName: name, uid: 1000, domain: "d.example",
            hostname: "host.example", queueID: HeaderReceivedTests.id, now: Timestamp(seconds: 1_795_341_600),
            offsetMinutes: 60, messageIDToken: "tok-1", takesRecipients: takes)
        return SubmissionHeader(completing: HeaderScanner(scanning: Array(text.utf8)), facts: facts)
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var reason: String
        var input: String
        /// What follows the Received line, without the empty line.
        var output: String
        var takes = false
        var testDescription: String { reason }
    }

    @Test(arguments: [
        Row(reason: "nothing there", input: "", output: added),
        Row(reason: "no header", input: "Hello\r\n", output: added),
        Row(reason: "nothing missing", input: whole, output: whole),
        Row(
            reason: "names without case", input: "DATE: x\r\nfrom: a@x.example\r\nmessage-id: <y>\r\n",
            output: "DATE: x\r\nfrom: a@x.example\r\nmessage-id: <y>\r\n"),
        Row(reason: "what came stays above", input: "Subject: s\r\n\tt\r\n", output: "Subject: s\r\n\tt\r\n" + added),
        Row(reason: "Return-Path leaves", input: "Return-Path: <a@b>\r\n" + whole, output: whole),
        Row(
            reason: "bare names", input: "To: root, \"A B\" <bin> (c),\r\n d@x.example\r\nReply-To:e\r\n" + whole,
            output: "To: root@d.example, \"A B\" <bin@d.example> (c),\r\n d@x.example\r\nReply-To:e@d.example\r\n"
                + whole),
        Row(
            reason: "bare From", input: "From: root (Cron)\r\nDate: x\r\nMessage-ID: y\r\n",
            output: "From: root@d.example (Cron)\r\nDate: x\r\nMessage-ID: y\r\n"),
        Row(
            reason: "groups and comments stay", input: "To: undisclosed-recipients:;\r\nCc: (none)\r\n" + whole,
            output: "To: undisclosed-recipients:;\r\nCc: (none)\r\n" + whole),
        Row(
            reason: "encoded words stay", input: "To: =?utf-8?q?Doe,_J?= <j@x.example>\r\n" + whole,
            output: "To: =?utf-8?q?Doe,_J?= <j@x.example>\r\n" + whole),
        Row(reason: "malformed stays", input: "To: John Doe\r\n" + whole, output: "To: John Doe\r\n" + whole),
        Row(
            reason: "other fields stay", input: "X-To: root\r\nSubject: root\r\n" + whole,
            output: "X-To: root\r\nSubject: root\r\n" + whole),
        Row(reason: "Bcc stays without -t", input: "Bcc: root\r\n" + whole, output: "Bcc: root@d.example\r\n" + whole),
        Row(
            reason: "Bcc leaves with -t", input: "bcc: root,\r\n bin\r\nResent-Bcc: c\r\n" + whole,
            output:
                "Resent-Date: Sun, 22 Nov 2026 11:00:00 +0100\r\nResent-From: Joe User <joe@d.example>\r\nResent-Message-ID: <tok1.resent@host.example>\r\n"
                + whole, takes: true),
        Row(
            reason: "several authors need a Sender",
            input: "From: a@x.example, b@x.example\r\nDate: x\r\nMessage-ID: y\r\n",
            output: "From: a@x.example, b@x.example\r\nDate: x\r\nMessage-ID: y\r\nSender: joe@d.example\r\n"),
        Row(
            reason: "resent block stands whole",
            input: "Resent-From: a@x.example\r\nResent-To: b\r\nResent-Date: x\r\nResent-Message-ID: y\r\n" + whole,
            output: "Resent-From: a@x.example\r\nResent-To: b@d.example\r\nResent-Date: x\r\nResent-Message-ID: y\r\n"
                + whole),
    ]) func completes(_ row: Row) throws {
        let header = try Self.complete(row.input, takes: row.takes)
        #expect(String(decoding: header.bytes, as: UTF8.self) == Self.received + row.output + "\r\n")
    }

    struct Found: Sendable, CustomTestStringConvertible {
        var reason: String
        var input: String
        var recipients: [String]
        var malformed: [String] = []
        var testDescription: String { reason }
    }

    @Test(arguments: [
        Found(
            reason: "To, Cc, Bcc in order, each once",
            input: "To: a@x.example, root\r\nCc: b@x.example\r\nBcc: a@X.example, c@x.example\r\n",
            recipients: ["a@x.example", "root@d.example", "b@x.example", "c@x.example"]),
        Found(
            reason: "several fields of a name", input: "To: a@x.example\r\nTo: b@x.example\r\n",
            recipients: ["a@x.example", "b@x.example"]),
        Found(reason: "From is no recipient", input: "From: a@x.example\r\nReply-To: b@x.example\r\n", recipients: []),
        Found(
            reason: "resent: only the Resent- fields",
            input: "Resent-To: r@x.example\r\nTo: a@x.example\r\nResent-Bcc: s@x.example\r\nBcc: b@x.example\r\n",
            recipients: ["r@x.example", "s@x.example"]),
        Found(
            reason: "resent twice: only the newest",
            input:
                "Resent-From: n@x.example\r\nResent-To: new@x.example\r\nResent-From: o@x.example\r\nResent-To: old@x.example\r\nResent-Cc: old2@x.example\r\n",
            recipients: ["new@x.example"]),
        Found(
            reason: "malformed is told", input: "To: John Doe, a@x.example\r\n", recipients: ["a@x.example"],
            malformed: ["John Doe"]),
        Found(
            reason: "a name that no mailbox can have", input: "To: \(String(repeating: "x", count: 65))\r\n",
            recipients: [], malformed: [String(repeating: "x", count: 65)]),
    ]) func findsRecipients(_ row: Found) throws {
        let header = try Self.complete(row.input, takes: true)
        #expect(header.recipients.map(\.description) == row.recipients)
        #expect(header.malformed == row.malformed)
        #expect(try Self.complete(row.input).recipients.isEmpty)
    }

    @Test(arguments: [
        (nil, "joe@d.example"), ("Joe User", "Joe User <joe@d.example>"), ("", "joe@d.example"),
        (" \r\n", "joe@d.example"),
        ("Joe Q. User", "\"Joe Q. User\" <joe@d.example>"), ("a\"b\\c", "\"a\\\"b\\\\c\" <joe@d.example>"),
        ("x\r\nBcc: y", "\"xBcc: y\" <joe@d.example>"), ("=?utf-8?q?x?=", "\"=?utf-8?q?x?=\" <joe@d.example>"),
        ("Jürgen Groß", "=?UTF-8?Q?J=C3=BCrgen_Gro=C3=9F?= <joe@d.example>"), ("(x)", "\"(x)\" <joe@d.example>"),
    ]) func writesTheAuthor(name: String?, text: String) throws {
        let header = String(decoding: try Self.complete("", name: name).bytes, as: UTF8.self)
        #expect(header.contains("From: \(text)\r\n"))
    }

    @Test(arguments: [String(repeating: "ü", count: 500), String(repeating: "x", count: 5000)])
    func foldsLongNames(name: String) throws {
        let header = try Self.complete("", name: name)
        let lines = header.bytes.split(separator: 10)
        #expect(lines.allSatisfy { $0.count <= 250 })
        #expect(header.bytes.allSatisfy { $0 < 127 })
    }
}
