import MailModel
import Testing

@testable import SMTPProtocol

@Suite struct DSNMessageTests {
    static func dsn(
        _ recipients: [DSNRecipient], returned: DSNMessage.Returned = .headers(Array("Subject: s\r\n".utf8)),
        envelopeID: String? = nil
    ) throws -> DSNMessage {
        DSNMessage(
            reportingMTA: "mx.example", recipient: try #require(Mailbox("a@x.example")), recipients: recipients,
            envelopeID: envelopeID, arrival: Timestamp(seconds: 1_795_341_600), returned: returned,
            now: Timestamp(seconds: 1_795_341_660), token: "t0k")
    }

    static func recipient(
        _ address: String = "b@y.example", _ action: DSNRecipient.Action = .failed, reply: String = "550 5.1.1 no",
        peerSpoke: Bool = true, host: String? = "mx.y.example"
    ) throws -> DSNRecipient {
        DSNRecipient(
            finalRecipient: try #require(Mailbox(address)), action: action, status: EnhancedStatusCode(5, 1, 1),
            reply: reply, peerSpoke: peerSpoke, remoteMTA: host, lastAttempt: Timestamp(seconds: 1_795_341_600))
    }

    static func text(_ dsn: DSNMessage) -> String { String(decoding: dsn.bytes, as: UTF8.self) }

    @Test func looksLikeThis() throws {
        let expected = ClientDialogue.contents(of: ClientDialogue.folder + "/Fixtures/client/dsn.eml")
        var gone = try Self.recipient()
        gone.originalRecipient = "rfc822;B@y.example"
        let late = try Self.recipient("\"c d\"@z", reply: "no host of z could be reached", peerSpoke: false, host: nil)
        let dsn = try Self.dsn([gone, late], envelopeID: "QQ17")
        #expect(
            Self.text(dsn).split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "\n")
                == expected)
    }

    @Test(arguments: [
        (DSNRecipient.Action.failed, "Your message could not be delivered"), (.delayed, "Your message is delayed"),
        (.delivered, "Your message was delivered"),
    ]) func namesTheMatter(action: DSNRecipient.Action, subject: String) throws {
        let text = Self.text(try Self.dsn([try Self.recipient("b@y.example", action)]))
        #expect(text.contains("\r\nSubject: \(subject)\r\n"))
        #expect(text.contains("\r\nAction: \(action.rawValue)\r\nStatus: 5.1.1\r\n"))
    }

    /// What peers and senders gave never begins a line, a field or a part, and no line is too long.
    @Test(arguments: [
        "550 a\r\nAction: delivered", "--pouch.t0k--", String(repeating: "x", count: 5000),
        String(repeating: "x y ", count: 900),
        "\u{202e}\0\u{1b}[31m", "", "   ", String(repeating: " ", count: 3000), "550 a\n\n.\n",
    ]) func escapesWhatOthersSaid(text: String) throws {
        var recipient = try Self.recipient(reply: text, host: text)
        recipient.originalRecipient = "rfc822;" + text
        let dsn = try Self.dsn([recipient], returned: .headers(Array("X: y\r\n".utf8)), envelopeID: text)
        let lines = Self.text(dsn).split(separator: "\r\n", omittingEmptySubsequences: false)
        #expect(lines.allSatisfy { $0.utf8.count <= 100 && $0.utf8.allSatisfy { $0 < 127 && ($0 >= 32 || $0 == 9) } })
        #expect(lines.count { $0.hasPrefix("Action:") } == 1)
        #expect(lines.count { $0.hasPrefix("--") } == 4)
        #expect(!lines.contains("."))
    }

    @Test func tellsAPeersWordsOnlyWhenAPeerSpoke() throws {
        let silent = try Self.recipient(reply: "nobody answered", peerSpoke: false, host: nil)
        let text = Self.text(try Self.dsn([silent]))
        #expect(text.contains("    nobody answered\r\n"))
        #expect(!text.contains("Diagnostic-Code") && !text.contains("Remote-MTA"))
    }

    @Test func writesAddressesBeyondASCII() throws {
        let text = Self.text(try Self.dsn([try Self.recipient("jü+x@y.example")]))
        #expect(text.contains("Final-Recipient: utf-8; j\\x{FC}\\x{2B}x@y.example\r\n"))
    }

    @Test(arguments: [
        (
            DSNMessage.Returned.headers(Array("Subject: ä\r\n".utf8)),
            "text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: ä\r\n\r\n--", BodyKind.eightBitMIME
        ),
        (.headers(Array("A: b\r\n\r\nbody\r\n".utf8)), "text/rfc822-headers\r\n\r\nA: b\r\n\r\n--", .sevenBit),
        (.headers([]), "text/rfc822-headers\r\n\r\n\r\n--", .sevenBit),
        (.full(Array("A: b\r\n\r\nbody".utf8)), "message/rfc822\r\n\r\nA: b\r\n\r\nbody\r\n\r\n--", .sevenBit),
    ]) func returnsTheMessage(returned: DSNMessage.Returned, part: String, body: BodyKind) throws {
        let dsn = try Self.dsn([try Self.recipient()], returned: returned)
        #expect(Self.text(dsn).hasSuffix("Content-Type: \(part)pouch.t0k--\r\n"))
        #expect(
            Self.text(dsn).contains("Content-Transfer-Encoding: \(body == .sevenBit ? "7bit" : "8bit")\r\n\r\nThis"))
        #expect(dsn.body == body)
    }

    @Test func boundsTheHeaderReturned() throws {
        let header = Array((String(repeating: "X: " + String(repeating: "y", count: 3000) + "\r\n", count: 100)).utf8)
        let dsn = try Self.dsn([try Self.recipient()], returned: .headers(header))
        #expect(dsn.bytes.count < 70_000)
        #expect(Self.text(dsn).split(separator: "\r\n").allSatisfy { $0.utf8.count <= 998 })
    }
}
