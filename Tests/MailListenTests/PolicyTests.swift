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

/// Calls that fail as told.
private final class FailingCalls: Syscalls {
    let failure = Mutex<Errno?>(nil)

    func perform(_ operation: QueueKit.Operation, at site: CallSite) throws(Errno) -> Int {
        if case .pwrite = operation, let failure = failure.withLock({ $0 }) { throw failure }
        return try LibC().perform(operation, at: site)
    }
}

/// A whole listener behind a pipe: what goes in as SMTP and what comes out, on the wire and in the spool.
private struct Listener {
    let spool = Result { try TemporarySpool() }
    let calls = FailingCalls()
    let store: MailStore
    let policy: ListenPolicy
    let options: ServerConfiguration
    let layout: TemporarySpool

    init(_ rules: String = "action out relay\nmatch from any for any action out", gathered: Int = 256 << 10) throws {
        layout = try spool.get()
        let text = "queue directory \"\(layout.layout.root)\"\nlisten on 127.0.0.1 hostname mx.example.test\n\(rules)"
        let setting = try setting(text)
        var limits = IntakeLimits()
        limits.gatheredMessageBytes = gathered
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        store = try MailStore(setting, limits: limits, syscalls: calls, logger: logger)
        options = Endpoint.options(setting.configuration.listeners.first, setting)
        let null = try FileDescriptor.open("/dev/null", .writeOnly)
        let log = try LogBuffer(null, format: .journal)
        policy = try ListenPolicy(setting: setting, endpoints: [(options, nil)], store: store, log: log)
    }

    /// Everything the peer sends before it closes, and all replies.
    func talk(_ text: String, from client: String = "192.0.2.1") throws -> String {
        var (input, output): ([Int32], [Int32]) = ([0, 0], [0, 0])
        try #require(pipe(&input) == 0 && pipe(&output) == 0)
        let bytes = Array(text.utf8)
        // A pipe holds 64 KiB, more than any dialogue here: nobody waits for anybody.
        try #require(write(input[1], bytes, bytes.count) == bytes.count)
        close(input[1])
        StdioSession(
            configuration: options, policy: policy, facts: SessionFacts(clientAddress: client, clientPort: 9),
            input: input[0], output: output[1]
        ).run()
        var reply = [UInt8](repeating: 0, count: 1 << 16)
        let got = read(output[0], &reply, reply.count)
        for descriptor in [input[0], output[0], output[1]] { close(descriptor) }
        return String(decoding: reply.prefix(max(0, got)), as: UTF8.self)
    }
}

private func dialogue(_ content: String, to recipient: String = "b@example.test") -> String {
    "EHLO client.example\r\nMAIL FROM:<a@example.test>\r\nRCPT TO:<\(recipient)>\r\nDATA\r\n\(content).\r\nQUIT\r\n"
}

@Suite(.timeLimit(.minutes(2)))
struct PolicyTests {
    /// Gathered, and streamed into a file of its own.
    @Test(arguments: [256 << 10, 0]) func aMessageIsStoredWithItsTrace(gathered: Int) throws {
        let listener = try Listener(gathered: gathered)
        let replies = try listener.talk(dialogue("Subject: x\r\n\r\n..dot\r\n"))
        let messages = try QueueSnapshot(listener.layout.layout).messages
        let message = try #require(messages.first)
        #expect(messages.count == 1)
        #expect(replies.contains("250 2.0.0 \(message.id) Message accepted for delivery\r\n221 "))
        let origin = SessionOrigin(clientAddress: "192.0.2.1", clientPort: 9, helo: "client.example")
        #expect(message.envelope.origin == .session(origin))
        #expect(message.envelope.reversePath.description == "a@example.test")
        #expect(message.envelope.recipients.map(\.forwardPath.description) == ["b@example.test"])
        #expect(message.envelope.recipients.map(\.action) == ["out"])
        let content = try #require(try listener.layout.contents().first)
        let trace = "Received: from client.example ([192.0.2.1])\r\n\tby mx.example.test (Pouch) with ESMTP\r\n"
        #expect(content.hasPrefix(trace + "\tid \(message.id)\r\n\tfor <b@example.test>;\r\n"))
        #expect(content.hasSuffix(" +0000\r\nSubject: x\r\n\r\n.dot\r\n"))
        listener.store.close()
    }

    @Test(arguments: [256 << 10, 0]) func aLoopLeavesNoTrace(gathered: Int) throws {
        let listener = try Listener(gathered: gathered)
        let lines = { (count: Int) in String(repeating: "Received: from x\r\n", count: count) + "\r\nbody\r\n" }
        #expect(try listener.talk(dialogue(lines(101))).contains("\r\n554 5.4.6 Too many hops"))
        #expect(try listener.layout.contents().isEmpty)
        #expect(try listener.talk(dialogue(lines(100))).contains("\r\n250 2.0.0 "))
        #expect(try listener.layout.contents().count == 1)
        listener.store.close()
    }

    @Test(arguments: [256 << 10, 0]) func aPeerThatBreaksOffLeavesNoTrace(gathered: Int) throws {
        let listener = try Listener(gathered: gathered)
        let whole = dialogue("Subject: x\r\n\r\nbody\r\n")
        let end = whole.utf8.count - "QUIT\r\n".utf8.count
        for cut in 0..<end { _ = try listener.talk(String(decoding: whole.utf8.prefix(cut), as: UTF8.self)) }
        #expect(try listener.layout.contents().isEmpty)
        // With the whole final dot it is a message, whether its sender waits for the answer or not.
        _ = try listener.talk(String(decoding: whole.utf8.prefix(end), as: UTF8.self))
        #expect(try listener.layout.contents().count == 1)
        listener.store.close()
    }

    @Test(arguments: [
        (256 << 10, Errno.noSpace, "452 4.3.1"), (0, .noSpace, "452 4.3.1"), (256 << 10, .ioError, "451 4.3.0"),
        (0, .ioError, "451 4.3.0"),
    ])
    func aFullOrBrokenDiskIsTemporary(gathered: Int, failure: Errno, code: String) throws {
        let listener = try Listener(gathered: gathered)
        listener.calls.failure.withLock { $0 = failure }
        #expect(try listener.talk(dialogue("x\r\n")).contains("\r\n\(code) "))
        #expect(try listener.layout.contents().isEmpty)
        listener.calls.failure.withLock { $0 = nil }
        #expect(try listener.talk(dialogue("x\r\n")).contains("\r\n250 2.0.0 "))
        #expect(try listener.layout.contents().count == 1)
        listener.store.close()
    }

    @Test func recipientsAreJudged() throws {
        let rules = """
            table aliases { foobar = "error:550 5.7.1 gone fishing" }
            action local maildir alias <aliases>
            match from any for domain example.test action local
            """
        let listener = try Listener(rules)
        let refused = try listener.talk(dialogue("x\r\n", to: "foobar@example.test"))
        #expect(refused.contains("\r\n550 5.7.1 gone fishing\r\n554 "))
        #expect(try listener.talk(dialogue("x\r\n", to: "x@else.example")).contains("\r\n550 5.7.1 Relaying denied"))
        #expect(try listener.talk(dialogue("x\r\n", to: "alice@example.test")).contains("\r\n250 2.0.0 "))
        #expect(try listener.talk(dialogue("x\r\n", to: "postmaster")).contains("\r\n250 2.0.0 "))
        #expect(try listener.layout.contents().count == 2)
        listener.store.close()
    }

    @Test func withoutASpoolThereIsNoStart() throws {
        let error = #expect(throws: CommandFailure.self) {
            let setting = try setting("queue directory \"/nonexistent/spool\"")
            _ = try MailStore(setting, logger: Logger(label: "test"))
        }
        #expect(error?.status == .configuration)
        #expect(error?.sentence.contains("mail-queue init") == true)
    }
}
