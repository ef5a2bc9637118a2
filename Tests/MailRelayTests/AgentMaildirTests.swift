import Glibc
import MailModel
import SMTPProtocol
import SystemPackage
import Testing

@testable import mail_relay

struct AgentMaildirTests {
    private let room: TemporaryDirectory
    private let job: DeliveryJob

    init() throws {
        room = try TemporaryDirectory()
        job = DeliveryJob(
            maildir: "\(room.path)/mail/box", home: room.path, reversePath: .mailbox(try mailbox("s@example.net")),
            recipient: try mailbox("u@example.org"))
    }

    /// The whole way of the delivering process, with pipes in place of the agent.
    private func deliver(_ content: [UInt8], commit: [UInt8]? = nil, job: DeliveryJob? = nil) throws -> Reply? {
        let word = commit ?? DeliveryJob.commitLine(octets: content.count)
        let orders = try Pipe(holding: (job ?? self.job).line + word)
        let data = try Pipe(holding: content)
        return DeliveryChild.deliver(job: orders.reader, content: data.reader)
    }

    @Test(arguments: [
        ("lines", "Subject: x\r\n\r\nhello\r\n", "Subject: x\n\nhello\n"), ("nothing", "", ""),
        ("bare dots", "a: b\r\n\r\n.\r\n..\r\n", "a: b\n\n.\n..\n"), ("8-bit", "a: b\r\n\r\nä\r\n", "a: b\n\nä\n"),
        ("bare CR and LF stay", "a\rb\nc\r\r\nd\r", "a\rb\nc\r\nd\r"),
    ])
    func `content arrives with the fields of a final delivery`(reason: String, sent: String, kept: String) throws {
        let reply = try deliver(Array(sent.utf8))
        #expect(reply == Reply(250, .init(2, 0, 0), "delivered"), "\(reason)")
        let name = try #require(room.list("mail/box/new").first)
        let bytes = room.content("mail/box/new/\(name)")
        let head = "Return-Path: <s@example.net>\nDelivered-To: u@example.org\n"
        #expect(bytes == Array((head + kept).utf8), "\(reason)")
        #expect(name.hasSuffix(",S=\(bytes.count)"))
        #expect(room.list("mail/box/tmp").isEmpty)
        #expect(room.mode("mail/box/new/\(name)") == 0o600)
        for directory in ["mail", "mail/box", "mail/box/tmp", "mail/box/new", "mail/box/cur"] {
            #expect(room.mode(directory) == 0o700)
        }
    }

    @Test func `line ends do not depend on where the content is cut`() {
        let content = Array("a\r\n\r\r\nb\n\rc\r\n\r\n\r".utf8)
        let whole = Array("a\n\r\nb\n\rc\n\n\r".utf8)
        for first in 0...content.count {
            for second in first...content.count {
                var lines = LineFeeds()
                let parts = [content[..<first], content[first..<second], content[second...]]
                #expect(parts.flatMap { lines.convert($0) } + lines.finish() == whole, "cut at \(first), \(second)")
            }
        }
    }

    @Test(arguments: [
        ("no final word", ""), ("half a final word", "commit 1"), ("the end of the agent within it", "commit"),
    ])
    func `without the final word nothing stays`(reason: String, word: String) throws {
        #expect(try deliver(Array("x\r\n".utf8), commit: Array(word.utf8)) == nil, "\(reason)")
        #expect(room.list("mail/box/new").isEmpty && room.list("mail/box/tmp").isEmpty)
    }

    @Test(arguments: ["commit 4\n", "commit 03\n", "commit\n", "\n", "commit 3 \n", "COMMIT 3\n"])
    func `another word than the final one is a failure`(word: String) throws {
        let reply = try deliver(Array("x\r\n".utf8), commit: Array(word.utf8))
        #expect(reply?.code == 451)
        #expect(room.list("mail/box/new").isEmpty && room.list("mail/box/tmp").isEmpty)
    }

    @Test func `a process that is gone before the commit leaves a file in tmp alone`() throws {
        let message = try MaildirMessage(in: Maildir(path: job.maildir, home: job.home), job: job)
        try message.append(Array("x\r\n".utf8)[...])
        // What a kill would leave: the object is never asked again, and never released.
        _ = Unmanaged.passRetained(message)
        #expect(room.list("mail/box/tmp").count == 1 && room.list("mail/box/new").isEmpty)
    }

    @Test(arguments: [
        ("as it is", "Delivered-To: u@example.org\r\n", true),
        ("the domain's case does not count", "delivered-to: <>\r\nDELIVERED-TO: \r\n u@EXAMPLE.org \r\n", true),
        ("another user", "Delivered-To: v@example.org\r\n", false),
        ("in the body", "a: b\r\n\r\nDelivered-To: u@example.org\r\n", false),
        ("in the value of another field", "X: Delivered-To: u@example.org\r\n", false),
        ("a header without an end", "Delivered-To: u@example.org", true),
    ])
    func `a mail loop is known by Delivered-To`(reason: String, content: String, isLoop: Bool) throws {
        let reply = try deliver(Array(content.utf8))
        #expect(reply?.status == (isLoop ? .init(5, 4, 6) : .init(2, 0, 0)), "\(reason)")
        #expect(room.list("mail/box/new").count == (isLoop ? 0 : 1))
        #expect(room.list("mail/box/tmp").isEmpty)
    }

    @Test(arguments: ["tmp", "new", "cur"])
    func `a symbolic link is not followed`(name: String) throws {
        mkdir("\(room.path)/mail", 0o700)
        mkdir("\(room.path)/mail/box", 0o700)
        mkdir("\(room.path)/elsewhere", 0o700)
        symlink("\(room.path)/elsewhere", "\(room.path)/mail/box/\(name)")
        let reply = try deliver(Array("x\r\n".utf8))
        #expect(reply?.status == .init(4, 2, 0))
        #expect(reply?.summary.contains("mail/box/\(name)") == true)
        #expect(room.list("elsewhere").isEmpty)
    }

    @Test func `the Maildir itself may be a link, but not one that leads nowhere`() throws {
        mkdir("\(room.path)/mail", 0o700)
        mkdir("\(room.path)/elsewhere", 0o700)
        symlink("\(room.path)/elsewhere", "\(room.path)/mail/box")
        #expect(try deliver([])?.code == 250)
        #expect(room.list("elsewhere/new").count == 1)
        unlink("\(room.path)/mail/box")
        symlink("\(room.path)/nowhere", "\(room.path)/mail/box")
        #expect(try deliver([])?.code == 451)
        #expect(room.mode("nowhere") == nil)
    }

    @Test func `a home is never made`() throws {
        var homeless = job
        homeless.home = "\(room.path)/home"
        homeless.maildir = "\(room.path)/home/Maildir"
        let reply = try deliver([], job: homeless)
        #expect(reply?.summary == "451 4.2.0 cannot open \(room.path)/home: no such file or directory. It must exist")
        #expect(room.mode("home") == nil)
    }

    @Test func `a file in the place of a directory`() throws {
        mkdir("\(room.path)/mail", 0o700)
        close(open("\(room.path)/mail/box", O_CREAT | O_WRONLY, 0o600))
        #expect(try deliver([])?.status == .init(4, 2, 0))
    }

    @Test func `a host's name stays inside its file's name`() {
        let name = MaildirName(seconds: 1, microseconds: 2, pid: 3, random: 255, host: "a/b:c")
        #expect(name.text == "1.M2P3Q1Rff.a\\057b\\072c")
    }

    @Test(arguments: [
        (Errno.noSpace, 452, "4.3.1"), (.diskQuotaExceeded, 452, "4.2.2"), (.permissionDenied, 451, "4.2.0"),
        (.readOnlyFileSystem, 451, "4.2.0"), (.ioError, 451, "4.3.0"), (.tooManySymbolicLinkLevels, 451, "4.2.0"),
    ])
    func `what the system refuses waits`(cause: Errno, code: Int, status: String) {
        let reply = DeliveryFailure("write to /m/tmp", cause).reply
        #expect(reply.code == code && reply.status?.description == status)
        #expect(reply.lines[0].hasPrefix("cannot write to /m/tmp: "))
    }
}

struct AgentJobTests {
    @Test func `a job survives its line`() throws {
        let job = DeliveryJob(
            maildir: "/m/\"ä\\\u{7f}\n", home: "/", reversePath: .null, recipient: try mailbox("\"a b\"@example.org"))
        #expect(job.line.last == 10 && job.line.count { $0 == 10 } == 1)
        #expect(DeliveryJob(line: job.line.dropLast()) == job)
    }

    @Test(arguments: [
        ("nothing", ""), ("no JSON", "deliver"), ("no object", "[]"), ("an empty object", "{}"),
        (
            "a relative path",
            #"{"maildir": "m", "home": "/", "reverse-path": "", "recipient": "u@example.org"}"#
        ),
        (
            "a zero byte in a path",
            #"{"maildir": "/m\u0000", "home": "/", "reverse-path": "", "recipient": "u@example.org"}"#
        ),
        ("no recipient", #"{"maildir": "/m", "home": "/", "reverse-path": "", "recipient": ""}"#),
        (
            "a line end in the reverse-path",
            #"{"maildir": "/m", "home": "/", "reverse-path": "a\nb@example.org", "recipient": "u@example.org"}"#
        ),
        ("a number", #"{"maildir": 1, "home": "/", "reverse-path": "", "recipient": "u@example.org"}"#),
    ])
    func `a malformed job is refused`(reason: String, line: String) throws {
        #expect(DeliveryJob(line: line.utf8) == nil, "\(reason)")
        let orders = try Pipe(holding: Array(line.utf8) + [10])
        let content = try Pipe(holding: [])
        #expect(DeliveryChild.deliver(job: orders.reader, content: content.reader)?.code == 451)
    }

    @Test func `a job without an end is refused within its bound`() throws {
        let orders = try Pipe(holding: [UInt8](repeating: 65, count: 40_000))
        let content = try Pipe(holding: [])
        #expect(DeliveryChild.deliver(job: orders.reader, content: content.reader)?.code == 451)
    }

    @Test(arguments: ["250 2.0.0 delivered", "451 4.2.0 x", "552 5.2.2 a b"])
    func `an answer is read`(line: String) {
        #expect(DeliveryAnswer.reply(Array(line.utf8))?.summary == line)
    }

    @Test(arguments: [
        ("empty", ""), ("no text", "250 2.0.0"), ("an empty text", "250 2.0.0 "),
        ("classes that differ", "250 4.0.0 x"),
        ("no final code", "354 3.0.0 x"), ("a positive code that says something else", "251 2.0.0 x"),
        ("421 would end the session of others", "4211 4.0.0 x"), ("a sign", "+50 2.0.0 x"),
        ("out of range", "599 5.0.0 x"), ("too long", "250 2.0.0 " + String(repeating: "x", count: 1000)),
    ])
    func `an answer that makes no sense is none`(reason: String, line: String) {
        #expect(DeliveryAnswer.reply(Array(line.utf8)) == nil, "\(reason)")
    }

    @Test func `an answer cannot forge a line`() {
        #expect(DeliveryAnswer.reply(Array("550 5.0.0 a\r\u{1b}é".utf8))?.lines == ["a???"])
    }
}
