import CommandKit
import Glibc
import Logging
import MailModel
import QueueKit
import SMTPProtocol
import Synchronization
import SystemPackage
import Testing
import Transport

@testable import mail_listen

struct ValveTests {
    private final class Counter: Sendable {
        let value = Mutex(0)
        func add() { value.withLock { $0 += 1 } }
        var count: Int { value.withLock { $0 } }
    }

    @Test func letsGoOnOnceWhoeverComesFirst() {
        let (valve, counter) = (Valve(), Counter())
        valve.open()
        #expect(counter.count == 0)
        valve.wait { counter.add() }
        #expect(counter.count == 1)
        valve.wait { counter.add() }
        #expect(counter.count == 1)
        valve.open()
        #expect(counter.count == 2)
        valve.wait { counter.add() }
        #expect(counter.count == 2)
    }
}

struct StorageReplyTests {
    @Test(arguments: [
        (QueueError(.system, "write /spool/x", cause: .noSpace), "452 4.3.1"),
        (QueueError(.system, "write /spool/x", cause: .diskQuotaExceeded), "452 4.3.1"),
        (QueueError(.system, "write /spool/x", cause: .ioError), "451 4.3.0"),
        (QueueError(.system, "open /spool/x", cause: .permissionDenied), "451 4.3.0"),
        (QueueError(.missing, "use /spool"), "451 4.3.0"),
        (QueueError(.refused, "store a message"), "552 5.3.4"),
    ])
    func code(_ error: QueueError, expected: String) {
        let reply = StorageReply.of(error)
        #expect(reply.summary.hasPrefix(expected + " "))
        #expect(!reply.summary.contains("/spool"))
    }
}

struct EndpointTests {
    private static let text = """
        smtp max-message-size 1M
        smtp limit max-mails 7
        smtp limit max-rcpt 8
        listen on 127.0.0.1 port 25 hostname first.example.test tag ONE
        listen on 127.0.0.1 port 26 tag TWO
        """

    @Test(arguments: [
        ("listener-0", "first.example.test", "ONE"), ("listener-1", "mail.example.test", "TWO"),
        ("listener-2", "first.example.test", "ONE"), ("listener--1", "first.example.test", "ONE"),
        ("listener-x", "first.example.test", "ONE"), ("unknown", "first.example.test", "ONE"),
    ])
    func inheritedSocketsFindTheirOptions(_ name: String, hostname: String, tag: String) throws {
        let endpoint = Endpoint.taken(InheritedSocket(descriptor: 9, name: name), try setting(Self.text))
        #expect(endpoint.options.hostname == hostname)
        #expect(endpoint.tag == tag)
        #expect(endpoint.options.maxMessageSize == 1 << 20)
        #expect((endpoint.options.maxMails, endpoint.options.maxRecipients) == (7, 8))
    }

    @Test func aSocketNobodyConfiguredIsServedAll() throws {
        let endpoint = Endpoint.taken(InheritedSocket(descriptor: 9, name: "unknown"), try setting(""))
        #expect(endpoint.options.hostname == "mail.example.test" && endpoint.tag == nil)
    }

    @Test func nothingToListenOn() throws {
        let error = #expect(throws: CommandFailure.self) {
            _ = try Endpoint.all([], try setting(""), Logger(label: "test"))
        }
        #expect(error?.status == .configuration)
        #expect(error?.sentence.contains("names no listener") == true)
    }

    @Test(arguments: [(UInt64(1 << 20), 1000), (1024, 480), (64, 10), (0, 10), (.max, 1000)])
    func sessionsFitTheDescriptors(_ openFiles: UInt64, expected: Int) {
        #expect(NetworkService.limits(openFiles).sessions == expected)
    }
}

struct StdioClientTests {
    @Test(
        arguments: [
            ("a pipe of our own", "local", [:], "local", UInt16(0)),
            ("systemd", "local", ["REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "77"], "192.0.2.7", 77),
            ("tcpserver", "local", ["TCPREMOTEIP": "192.0.2.8", "TCPREMOTEPORT": "x"], "192.0.2.8", 0),
            ("socat", "local", ["SOCAT_PEERADDR": "[2001:0db8::0001]"], "2001:db8::1", 0),
            ("mapped", "local", ["REMOTE_ADDR": "::ffff:192.0.2.9"], "192.0.2.9", 0),
            ("no address is no local client", "local", ["TCPREMOTEIP": "local"], "unknown", 0),
            ("an empty variable says nothing", "local", ["REMOTE_ADDR": ""], "local", 0),
            ("a socket knows better", "198.51.100.1", ["REMOTE_ADDR": "127.0.0.1"], "198.51.100.1", 0),
        ] as [(String, String, [String: String], String, UInt16)])
    func address(_ why: String, socket: String, variables: [String: String], expected: String, port: UInt16) {
        let facts = StdioService.client(SessionFacts(clientAddress: socket), environment: variables)
        #expect(facts.clientAddress == expected && facts.clientPort == port)
    }
}

struct SessionLogTests {
    @Test func aMessageAndItsRecipients() throws {
        let id = try #require(QueueID("0123456789abcdefghij"))
        let envelope = Envelope(
            id: id, arrival: Timestamp(seconds: 0), reversePath: .null,
            recipients: [Recipient(try mailbox("a@example.org")), Recipient(try mailbox("b@example.org"))],
            origin: .submission(uid: 0))
        let session = SessionFacts(sessionID: 255, esmtp: true)
        let (reader, writer) = try testPipe()
        let buffer = try LogBuffer(writer, format: .journal)
        SessionLog(buffer).stored(StoredMail(session: session, envelope: envelope, size: 12))
        buffer.flush()
        #expect(
            waitingText(reader) == """
                <6>00000000000000ff smtp message id=0123456789abcdefghij size=12 nrcpt=2 proto=ESMTP
                <6>00000000000000ff smtp envelope evpid=0123456789abcdefghij.0 from=<> to=<a@example.org>
                <6>00000000000000ff smtp envelope evpid=0123456789abcdefghij.1 from=<> to=<b@example.org>

                """)
    }

    @Test func nothingHostileReachesTheLog() throws {
        let (reader, writer) = try testPipe()
        let buffer = try LogBuffer(writer, format: .journal)
        buffer.add { $0 += "a\u{1B}[2J\r\nü".utf8 }
        buffer.flush()
        #expect(waitingText(reader) == "<6>a?[2J????\n")
    }
}

func testPipe() throws -> (read: Int32, write: FileDescriptor) {
    var ends: [Int32] = [-1, -1]
    try #require(Glibc.pipe(&ends) == 0)
    return (ends[0], FileDescriptor(rawValue: ends[1]))
}

/// Waits for the first octet and takes what is there.
func waitingText(_ descriptor: Int32) -> String {
    var bytes = [UInt8](repeating: 0, count: 65536)
    let got = read(descriptor, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(0, got)), as: UTF8.self)
}

struct LogBufferTests {
    @Test func linesWaitAndThenGoTogether() throws {
        let (reader, writer) = try testPipe()
        let buffer = try LogBuffer(writer, format: .journal)
        let logger = buffer.logger
        logger.info("one")
        logger.info("two", metadata: ["key": "a b"])
        // Nobody flushes: the buffer's own thread does, within its pause.
        #expect(waitingText(reader) == "<6>one\n<6>two key=\"a b\"\n")
    }

    @Test func warningsGoAtOnceAndLast() throws {
        let (reader, writer) = try testPipe()
        let logger = try LogBuffer(writer, format: .journal).logger
        logger.info("before")
        logger.warning("now")
        var waiting: Int32 = 0
        #expect(ioctl(reader, UInt(FIONREAD), &waiting) == 0 && waiting > 0)
        #expect(waitingText(reader) == "<6>before\n<4>now\n")
    }

    @Test func whatNobodyReadsIsCounted() throws {
        let (reader, writer) = try testPipe()
        let buffer = try LogBuffer(writer, format: .journal, limit: 30)
        buffer.logger.info("0123456789")
        buffer.logger.info("0123456789")
        buffer.logger.info("0123456789")
        buffer.logger.info("0123456789")
        buffer.flush()
        let found = waitingText(reader)
        #expect(found.hasPrefix("<6>0123456789\n"))
        #expect(found.contains("log lines were lost here") || found.count { $0 == "\n" } == 4)
    }

    @Test func actionsAreNotedWithinTheirTransaction() throws {
        let actions = ChosenActions()
        let recipient = try mailbox("a@b.example")
        actions.note("late", for: recipient, 1)
        #expect(actions.take(1).isEmpty)
        actions.begin(1)
        actions.note("one", for: recipient, 1)
        #expect(actions.take(2).isEmpty && actions.take(1) == [recipient: "one"] && actions.take(1).isEmpty)
        actions.begin(1)
        actions.note("one", for: recipient, 1)
        actions.begin(1)
        #expect(actions.take(1).isEmpty)
    }
}
