import MailModel
import Testing

@testable import SMTPProtocol

@Suite struct ClientMachineTests {
    /// A machine that is ready, at a peer that offers these keywords.
    static func ready(_ keywords: String..., helo: String = "c.example") -> ClientMachine {
        var machine = ClientMachine(configuration: ClientConfiguration(helo: helo))
        _ = machine.receive(.opened)
        _ = machine.receive(.received(Array("220 mx\r\n".utf8)))
        let lines = (["mx"] + keywords).map { "250-\($0)\r\n" }.joined() + "250 X\r\n"
        _ = machine.receive(.received(Array(lines.utf8)))
        return machine
    }

    static func mail(_ recipients: Int = 1) -> OutgoingMail {
        let mailboxes = (0..<recipients).compactMap { Mailbox("r\($0)@y.example") }
        return OutgoingMail(reversePath: .null, recipients: mailboxes.map { Recipient($0) }, size: 7)
    }

    static func say(_ machine: inout ClientMachine, _ text: String) -> [ClientAction] {
        machine.receive(.received(Array(text.utf8)))
    }

    @Test func tellsTheNameOfTheGreeting() {
        var machine = ClientMachine(configuration: ClientConfiguration(helo: "c.example"))
        _ = machine.receive(.opened)
        _ = Self.say(&machine, "220 front.example ESMTP\r\n")
        guard case .ready(let peer)? = Self.say(&machine, "250 back.example\r\n").last else {
            Issue.record("not ready")
            return
        }
        #expect(peer.name == "front.example")
    }

    @Test func sendsTheEnvelopeInOneWrite() {
        var machine = Self.ready("PIPELINING")
        let sent = machine.receive(.deliver(Self.mail(3)))
        #expect(
            sent == [
                .send(
                    Array(
                        ("MAIL FROM:<>\r\nRCPT TO:<r0@y.example>\r\nRCPT TO:<r1@y.example>\r\n"
                            + "RCPT TO:<r2@y.example>\r\nDATA\r\n").utf8)),
                .setTimeout(.seconds(300)),
            ])
    }

    @Test func setsTheTimesOfRFC5321() {
        var machine = ClientMachine(configuration: ClientConfiguration(helo: "c.example"))
        func times(_ actions: [ClientAction]) -> [Duration] {
            actions.compactMap { if case .setTimeout(let time) = $0 { time } else { nil } }
        }
        #expect(times(machine.receive(.opened)) == [.seconds(300)])
        #expect(times(Self.say(&machine, "220 x\r\n")) == [.seconds(300)])
        #expect(times(Self.say(&machine, "250-x\r\n250 PIPELINING\r\n")) == [])
        #expect(times(machine.receive(.deliver(Self.mail()))) == [.seconds(300)])
        #expect(times(Self.say(&machine, "250 x\r\n")) == [.seconds(300)])
        #expect(times(Self.say(&machine, "250 x\r\n")) == [.seconds(120)])
        #expect(times(Self.say(&machine, "354 x\r\n")) == [.seconds(180)])
        #expect(times(machine.receive(.contentSent)) == [.seconds(600)])
        #expect(times(Self.say(&machine, "250 x\r\n")) == [])
        #expect(times(machine.receive(.quit)) == [.seconds(5)])
    }

    /// A DSN may give a sentence as the peer's only when it is the peer's.
    @Test(arguments: [
        ("250 ok\r\n550 no\r\n", true, "a reply"), ("250 ok\r\n421 bye\r\n", true, "a reply that ends the session"),
        ("250 ok\r\n", false, "no reply"), ("250 ok\r\n354 go on\r\n", false, "a reply out of step"),
    ])
    func knowsWhoSpoke(bytes: String, isFromPeer: Bool, reason: String) {
        var machine = Self.ready("PIPELINING")
        _ = machine.receive(.deliver(Self.mail()))
        let actions = Self.say(&machine, bytes) + machine.receive(.peerClosed)
        let results = actions.compactMap { if case .finished(let results) = $0 { results } else { nil } }
        #expect(results.first?.map(\.isFromPeer) == [isFromPeer], "\(reason)")
    }

    @Test(arguments: [("554 no\r\n", true), ("hello\r\n", false), ("", false)])
    func knowsWhoRefusedTheSession(bytes: String, isFromPeer: Bool) {
        var machine = ClientMachine(configuration: ClientConfiguration(helo: "c.example"))
        _ = machine.receive(.opened)
        let actions = Self.say(&machine, bytes) + machine.receive(.peerClosed)
        let failures = actions.compactMap { if case .failed(let failure) = $0 { failure } else { nil } }
        #expect(failures.map(\.isFromPeer) == [isFromPeer])
    }

    @Test func idleTimeMakesItQuit() {
        var machine = Self.ready()
        #expect(machine.receive(.timedOut).first == .send(Array("QUIT\r\n".utf8)))
    }

    /// In lockstep a reply that lies there before the next command must not pass for the reply to it.
    @Test(arguments: ["250 ok\r\n250 ok\r\n", "250 ok\r\n2"]) func refusesReplyBeforeCommand(bytes: String) {
        var machine = Self.ready()
        _ = machine.receive(.deliver(Self.mail()))
        let actions = Self.say(&machine, bytes)
        #expect(ClientDialogue.words(for: actions) == ["< temp 4.5.0 the peer replied before it was asked", "< close"])
    }

    @Test func refusesRepliesBeforeEHLOAndAfterReady() {
        var machine = ClientMachine(configuration: ClientConfiguration(helo: "c.example"))
        _ = machine.receive(.opened)
        let actions = Self.say(&machine, "220 x\r\n250 y\r\n")
        #expect(
            ClientDialogue.words(for: actions) == [
                "< failed temp 4.5.0 the peer replied before it was asked", "< close",
            ])
        machine = Self.ready()
        #expect(Self.say(&machine, "25") == [])
        let late = ClientDialogue.words(for: machine.receive(.deliver(Self.mail())))
        #expect(late == ["< temp 4.5.0 the peer replied before it was asked", "< close"])
    }

    /// RFC 5321 §4.5.3.1.10.
    @Test(arguments: [
        ("250 ok", "552 too many", AttemptResult.temporaryFailure, "4.5.3"),
        ("250 ok", "552 5.5.3 too many", .temporaryFailure, "4.5.3"),
        ("250 ok", "552 5.2.2 full", .permanentFailure, "5.2.2"),
        ("550 no", "552 full", .permanentFailure, "5.2.2"),
    ]) func understands552(first: String, second: String, result: AttemptResult, status: String) {
        var machine = Self.ready("PIPELINING")
        _ = machine.receive(.deliver(Self.mail(2)))
        let actions = Self.say(&machine, "250 ok\r\n\(first)\r\n\(second)\r\n451 stop\r\n")
        guard case .finished(let results)? = actions.first(where: { if case .finished = $0 { true } else { false } })
        else {
            Issue.record("not finished")
            return
        }
        #expect(results[1].result == result)
        #expect(results[1].status.description == status)
    }

    /// Each row: an honest recipient and one whose values would end the line or begin another word.
    @Test(arguments: ["rfc822;a\r\nRSET", "rfc822;a\0", "rfc822;a\u{7f}", "rfc822;\n"])
    func keepsControlCharactersOffTheWire(original: String) throws {
        var mail = Self.mail(2)
        mail.recipients[1].originalRecipient = original
        var machine = Self.ready("PIPELINING", "DSN")
        let words = ClientDialogue.words(for: machine.receive(.deliver(mail)))
        #expect(words == ["C: MAIL FROM:<>", "C: RCPT TO:<r0@y.example>", "C: DATA"])
        let rest = ClientDialogue.words(for: Self.say(&machine, "250 a\r\n450 b\r\n503 c\r\n"))
        #expect(rest[1] == "< perm 5.1.3 the original recipient holds a control character and can't be sent")
    }

    @Test(arguments: [
        ("x y", "<\"x y\"@d.example>"), ("a..b", "<\"a..b\"@d.example>"), ("a\"b\\c", "<\"a\\\"b\\\\c\"@d.example>"),
        ("a>b", "<\"a>b\"@d.example>"), ("x\"\u{301}> EVIL", "<\"x\\\"\u{301}> EVIL\"@d.example>"),
        ("a+b=c", "<a+b=c@d.example>"),
    ]) func quotesLocalParts(local: String, path: String) throws {
        let mailbox = try #require(Mailbox(localPart: local, domain: "d.example"))
        var machine = Self.ready("PIPELINING", "SMTPUTF8", "8BITMIME")
        let mail = OutgoingMail(reversePath: .null, recipients: [Recipient(mailbox)], size: 1)
        let words = ClientDialogue.words(for: machine.receive(.deliver(mail)))
        #expect(words[1] == "C: RCPT TO:\(path)")
    }

    @Test func leavesOutWhatIsTooLong() throws {
        var mail = Self.mail()
        mail.envelopeID = String(repeating: "+", count: 34)
        mail.recipients[0].originalRecipient = "rfc822;" + String(repeating: "x", count: 500)
        mail.recipients[0].notify = []
        var machine = Self.ready("PIPELINING", "DSN")
        let words = ClientDialogue.words(for: machine.receive(.deliver(mail)))
        #expect(words == ["C: MAIL FROM:<>", "C: RCPT TO:<r0@y.example> NOTIFY=NEVER", "C: DATA"])
    }

    @Test func neverCountsAnUnansweredRecipientAsDelivered() {
        let transaction = ClientTransaction(Self.mail(2), to: PeerCapabilities(), flavour: .smtp)
        #expect(transaction.results.map(\.result) == [.temporaryFailure, .temporaryFailure])
    }
}
