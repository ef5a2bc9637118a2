import CommandKit
import Glibc
import MailModel
import Testing

@testable import QueueKit
@testable import mail_enqueue

@Suite struct SubmissionTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var reason: String
        var words: [String]
        var message: String
        var sender = "joe@d.example"
        var recipients = ["a@x.example"]
        /// Each stands in the stored text ...
        var holds: [String] = []
        /// ... and none of these.
        var lacks: [String] = []
        var testDescription: String { reason }
    }

    @Test(arguments: [
        Row(
            reason: "headers are added", words: ["a@x.example"], message: "Subject: s\n\nbody\n",
            holds: [
                "Received: by host.example (Pouch, from userid \(getuid()))\r\n\tid ", "\r\nDate: ",
                "\r\nFrom: Joe User <joe@d.example>\r\n", "\r\nMessage-ID: <", "@host.example>\r\n\r\nbody\r\n",
            ]),
        Row(reason: "empty input", words: ["a@x.example"], message: "", holds: ["\r\nDate: ", ">\r\n\r\n"]),
        Row(
            reason: "bare names everywhere", words: ["-f", "bob", "a@x.example", "root"],
            message: "To: root\nFrom: bin\n\n", sender: "bob@d.example",
            recipients: ["a@x.example", "root@d.example"],
            holds: ["\r\nTo: root@d.example\r\nFrom: bin@d.example\r\n"]),
        Row(
            reason: "-F with -f", words: ["-F", "Cron Daemon", "-f", "root", "a@x.example"], message: "\nx",
            sender: "root@d.example", holds: ["From: Cron Daemon <root@d.example>\r\n", "\r\n\r\nx\r\n"]),
        Row(
            reason: "the account's name is not that of -f", words: ["-f", "bob", "a@x.example"], message: "\n",
            sender: "bob@d.example", holds: ["From: bob@d.example\r\n"]),
        Row(
            reason: "null reverse-path", words: ["-f", "<>", "a@x.example"], message: "\n", sender: "",
            holds: ["From: Joe User <joe@d.example>\r\n"]),
        Row(
            reason: "-t adds to arguments, Bcc leaves", words: ["-t", "z"],
            message: "To: a@x.example, Z@D.EXAMPLE\nCc: z@d.example\nBcc: secret@x.example\n\nhi\n",
            recipients: ["z@d.example", "a@x.example", "Z@D.EXAMPLE", "secret@x.example"],
            holds: ["\r\nTo: a@x.example, Z@D.EXAMPLE\r\n"], lacks: ["secret", "Bcc"]),
        Row(
            reason: "a lone dot ends", words: ["a@x.example"], message: "\none\n.\ntwo\n", holds: ["\r\n\r\none\r\n"],
            lacks: ["two"]),
        Row(
            reason: "-i keeps it", words: ["-i", "a@x.example"], message: "\none\n.\ntwo\n",
            holds: ["\r\n\r\none\r\n.\r\ntwo\r\n"]),
        Row(
            reason: "no header at all", words: ["a@x.example"], message: "just text\n",
            holds: [">\r\n\r\njust text\r\n"]),
        Row(reason: "duplicates", words: ["a@x.example", "a@X.example", "a@x.example"], message: "\n"),
    ]) func stores(_ row: Row) throws {
        let spool = try TemporarySpool()
        let id = try spool.submit(row.words, Array(row.message.utf8))
        let drop = try spool.drop()
        #expect(drop.envelope.id == id)
        #expect(drop.envelope.reversePath.description == row.sender)
        #expect(drop.envelope.recipients.map(\.forwardPath.description) == row.recipients)
        #expect(drop.envelope.origin == .submission(uid: geteuid()))
        for part in row.holds { #expect(drop.text.contains(part), "\(part) in \(drop.text)") }
        for part in row.lacks { #expect(!drop.text.contains(part), "\(part) in \(drop.text)") }
        #expect(!drop.text.replacing("\r\n", with: "").contains("\n"))
    }

    @Test func envelopeCarriesWhatDSNsNeed() throws {
        let spool = try TemporarySpool()
        try spool.submit(["-Nsuccess,delay", "-Rfull", "-Ve+2Bid", "--hold", "a@x.example"], Array("\n".utf8))
        let envelope = try spool.drop().envelope
        #expect(envelope.recipients.first?.notify == [.success, .delay])
        #expect(envelope.returnContent == .full)
        #expect(envelope.envelopeID == "e+id")
        #expect(envelope.held)
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        var reason: String
        var words: [String]
        var message = "\nx\n"
        var sizeLimit = 8 << 20
        var status: CommandKit.ExitStatus
        var part: String
        var testDescription: String { reason }
    }

    @Test(arguments: [
        Refused(reason: "no recipients", words: [], status: .usage, part: "no recipients: name one or give -t."),
        Refused(
            reason: "-t without any", words: ["-t"], message: "Subject: s\n\n", status: .usage, part: "no recipients"),
        Refused(
            reason: "-t and a broken one", words: ["-t", "a"], message: "To: a b c\n\n", status: .dataError,
            part: "the recipient in the header \"a b c\""),
        Refused(reason: "broken argument", words: ["a@b@c"], status: .dataError, part: "\"a@b@c\""),
        Refused(reason: "broken -f", words: ["-f", "a b", "x"], status: .dataError, part: "the sender \"a b\""),
        Refused(
            reason: "too long", words: ["a"], message: String(repeating: "x\n", count: 600), sizeLimit: 1500,
            status: .dataError, part: "octets; submit.conf allows 1500"),
        Refused(
            reason: "header beyond its limit", words: ["-t"],
            message: "To: a\n" + String(repeating: "X-A: b\n", count: 200_000) + "\n", status: .dataError,
            part: "longer than 1048576 octets"),
        Refused(
            reason: "the same without -t", words: ["a"], message: "A: " + String(repeating: "b\n c", count: 400_000),
            status: .dataError, part: "longer than 1048576 octets"),
        Refused(
            reason: "one endless line with -t", words: ["-t"], message: String(repeating: "b", count: 1_200_000),
            status: .dataError, part: "longer than 1048576 octets"),
    ]) func refusesAndStoresNothing(_ row: Refused) throws {
        let spool = try TemporarySpool()
        var settings = spool.settings
        settings.sizeLimit = row.sizeLimit
        let error = #expect(throws: CommandFailure.self) {
            try spool.submit(row.words, Array(row.message.utf8), settings: settings)
        }
        #expect(error?.status == row.status)
        #expect(error?.sentence.contains(row.part) == true, "\(error?.sentence ?? "")")
        #expect(try spool.drops() == [])
    }

    struct Body: Sendable, CustomTestStringConvertible {
        var reason: String
        var words: [String] = []
        var message: [UInt8]
        var expected: BodyKind
        var testDescription: String { reason }
    }

    static let long = [UInt8](repeating: 120, count: MessageInput.openingLimit + MessageInput.chunkSize)

    @Test(arguments: [
        Body(reason: "7-bit", message: Array("\nx\n".utf8), expected: .sevenBit),
        Body(reason: "8-bit body", message: [10, 0xE9], expected: .eightBitMIME),
        Body(reason: "8-bit header", message: Array("Subject: é\n\n".utf8), expected: .eightBitMIME),
        Body(reason: "seen beats said", words: ["-B7BIT"], message: [10, 0xE9], expected: .eightBitMIME),
        Body(reason: "known to be 7-bit", words: ["-B8BITMIME"], message: [10, 65], expected: .sevenBit),
        Body(reason: "8-bit after a lone dot", message: [10, 46, 10, 0xE9], expected: .sevenBit),
        Body(reason: "long, unknown", message: [10] + long, expected: .eightBitMIME),
        Body(reason: "long, vouched for", words: ["-B7BIT"], message: [10] + long, expected: .sevenBit),
        Body(reason: "long, 8-bit at once", words: ["-B7BIT"], message: [10, 0xE9] + long, expected: .eightBitMIME),
    ]) func tellsTheBody(_ row: Body) throws {
        let spool = try TemporarySpool()
        try spool.submit(row.words + ["a@x.example"], row.message)
        #expect(try spool.drop().envelope.body == row.expected)
    }

    @Test func streamsALongMessageWhole() throws {
        let spool = try TemporarySpool()
        let body = (0..<90_000).map { "line \($0) of a long message\n" }.joined()
        try spool.submit(["a@x.example"], Array("Subject: long\n\n\(body)".utf8))
        let text = try spool.drop().text
        #expect(text.hasSuffix("\r\n\r\n" + body.replacing("\n", with: "\r\n")))
    }

    @Test(arguments: [("müller@x.example", true), ("a@x.example", false)])
    func needsSMTPUTF8ForPathsAlone(_ recipient: String, _ expected: Bool) throws {
        let spool = try TemporarySpool()
        try spool.submit([recipient], Array("Subject: é\n\n".utf8))
        #expect(try spool.drop().envelope.smtpUTF8 == expected)
    }

    @Test func sayWhenThereIsNoSpool() throws {
        let spool = try TemporarySpool()
        var settings = spool.settings
        settings.spool += ".not"
        let error = #expect(throws: CommandFailure.self) { try spool.submit(["a"], [], settings: settings) }
        #expect(error?.status == .configuration)
        #expect(error?.sentence.contains("Create it with `mail-queue init`") == true)
    }

    @Test(arguments: [
        ("pouch-spool 99\n", "Install a newer Pouch"), ("rubbish", "Restore it from a backup"),
    ]) func saysWhenTheSpoolIsNotOurs(_ meta: String, _ part: String) throws {
        let spool = try TemporarySpool()
        unlink(spool.layout.meta)
        _ = try spool.write("spool/spool.meta", Array(meta.utf8))
        let error = #expect(throws: CommandFailure.self) { try spool.submit(["a"], []) }
        #expect(error?.status == .configuration)
        #expect(error?.sentence.contains(part) == true)
    }
}
