import Glibc
import MailModel
import SMTPProtocol
import Synchronization
import Testing

@testable import Transport

private let configuration = ClientConfiguration(helo: "client.example.org")

private func greet(_ socket: RawSocket) throws {
    try socket.send("220 mx.example.test ready\r\n")
    #expect(try socket.readLine() == "EHLO client.example.org")
    try socket.send("250-mx.example.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
}

private func takeEnvelope(_ socket: RawSocket) throws {
    for _ in 0..<3 { _ = try socket.readLine() }
    try socket.send("250 ok\r\n250 ok\r\n354 go\r\n")
}

private func withConnection(
    _ script: @escaping @Sendable (RawSocket) throws -> Void, _ body: (SMTPConnection) async throws -> Void
) async throws {
    let threads = NetworkThreads()
    let server = try ScriptedServer(script)
    let connection = try await SMTPConnection.open(to: server.address, configuration: configuration, on: threads)
    try await body(connection)
    try await server.finish()
    await threads.shutdown()
}

@Suite(.timeLimit(.minutes(2)))
struct SMTPConnectionTests {
    @Test func twoMessagesThenQuit() async throws {
        try await withConnection { socket in
            try greet(socket)
            for _ in 0..<2 {
                try takeEnvelope(socket)
                var lines: [String] = []
                while lines.last != "." { lines.append(try socket.readLine()) }
                #expect(lines == ["Subject: test", "", "..hidden dot", "last line", "."])
                try socket.send("250 2.0.0 taken\r\n")
            }
            #expect(try socket.readLine() == "QUIT")
            try socket.send("221 bye\r\n")
        } _: { connection in
            #expect(connection.capabilities.pipelining && connection.localAddress == "127.0.0.1")
            for _ in 0..<2 {
                #expect(connection.isReusable)
                let results = await connection.deliver(mail(["a"]), content: MemoryContent(messageContent))
                #expect(results.map(\.result) == [.ok])
                #expect(results.first?.reply == "250 2.0.0 taken")
            }
            await connection.quit()
            #expect(!connection.isReusable)
            let late = await connection.deliver(mail(["a", "b"]), content: MemoryContent([]))
            #expect(late.map(\.result) == [.temporaryFailure, .temporaryFailure])
        }
    }

    @Test func aContentThatFailsEndsBeforeTheFinalDot() async throws {
        try await withConnection { socket in
            try greet(socket)
            try takeEnvelope(socket)
            #expect(try !socket.readToEnd().hasSuffix("\r\n.\r\n"))
        } _: { connection in
            let results = await connection.deliver(mail(["a"]), content: LongContent(pieces: 3, failsAt: 2))
            #expect(results.map(\.result) == [.temporaryFailure])
            #expect(!connection.isReusable)
        }
    }

    @Test(arguments: ["a bare\nLF\r\n", "a bare\rCR\r\n", "CR at the end\r"])
    func bareLineEndsNeverGetTheirDot(text: String) async throws {
        try await withConnection { socket in
            try greet(socket)
            try takeEnvelope(socket)
            #expect(try !socket.readToEnd().hasSuffix("\r\n.\r\n"))
        } _: { connection in
            let results = await connection.deliver(mail(["a"]), content: MemoryContent(Array(text.utf8)))
            #expect(results.map(\.result) == [.permanentFailure])
            #expect(results.first?.status == EnhancedStatusCode(5, 6, 0))
        }
    }

    @Test func aLastLineWithoutItsEndGetsOne() async throws {
        try await withConnection { socket in
            try greet(socket)
            try takeEnvelope(socket)
            #expect(try socket.readLine() == "no end")
            #expect(try socket.readLine() == ".")
            try socket.send("250 ok\r\n")
        } _: { connection in
            let results = await connection.deliver(mail(["a"]), content: MemoryContent(Array("no end".utf8)))
            #expect(results.map(\.result) == [.ok])
        }
    }

    @Test func largeContentArrivesWhole() async throws {
        let pieces = 210
        try await withConnection { socket in
            try greet(socket)
            try takeEnvelope(socket)
            var (tail, count): ([UInt8], Int) = ([], 0)
            while !tail.elementsEqual("\r\n.\r\n".utf8) {
                let bytes = try socket.read()
                guard !bytes.isEmpty else { break }
                count += bytes.count
                tail = Array((tail + bytes.suffix(5)).suffix(5))
            }
            try socket.send("250 \(count)\r\n")
        } _: { connection in
            let results = await connection.deliver(mail(["a"]), content: LongContent(pieces: pieces))
            // 40 MiB; each line has one dot more, and the final dot has three octets.
            let expected = pieces * LongContent.linesInPiece * (LongContent.line.count + 1) + 3
            #expect(expected > 40 << 20)
            #expect(results.first?.reply == "250 \(expected)")
        }
    }

    /// The source is asked for more only as the peer takes it, and cancelling ends even that wait.
    @Test func aPeerThatStopsReadingHoldsTheSourceBack() async throws {
        let isDone = Flag()
        let content = LongContent(pieces: 10_000)  // 2 GiB, if anybody took them
        try await withConnection { socket in
            try greet(socket)
            try takeEnvelope(socket)
            isDone.wait()
        } _: { connection in
            let delivery = Task { await connection.deliver(mail(["a"]), content: content) }
            #expect(await eventually { content.isStill })
            #expect(content.asked < 200)
            delivery.cancel()
            #expect(await delivery.value.map(\.result) == [.temporaryFailure])
            isDone.set()
        }
    }

    @Test(arguments: [
        ("554 5.7.1 go away\r\n", AttemptResult.permanentFailure, "554 5.7.1 go away"),
        ("421 4.3.2 later\r\n", .temporaryFailure, "421 4.3.2 later"),
        ("", .temporaryFailure, "connection closed while waiting for the greeting"),
    ])
    func aRefusingGreetingIsToldAsItIs(greeting: String, result: AttemptResult, reply: String) async throws {
        let threads = NetworkThreads()
        let server = try ScriptedServer { try $0.send(greeting) }
        do {
            _ = try await SMTPConnection.open(to: server.address, configuration: configuration, on: threads)
            Issue.record("a session stands that should not")
        } catch {
            #expect(error.result == result && error.reply == reply)
        }
        try await server.finish()
        await threads.shutdown()
    }

    /// The peer leaves after any number of its octets: a result, always, and never "delivered" without its 250.
    @Test func thePeerLeavesAnywhere() async throws {
        let parts = ["220 mx\r\n", "250-mx\r\n250 PIPELINING\r\n", "250 ok\r\n250 ok\r\n354 go\r\n", "250 taken\r\n"]
        let length = parts.joined().utf8.count
        let threads = NetworkThreads()
        for cut in stride(from: length % 2, through: length, by: 2) {
            let server = try ScriptedServer { socket in
                var left = cut
                for (index, part) in parts.enumerated() {
                    if index == 1 { _ = try socket.readLine() }
                    if index == 2 { for _ in 0..<3 { _ = try socket.readLine() } }
                    if index == 3 { while try socket.readLine() != "." {} }
                    let piece = Array(part.utf8.prefix(left))
                    try socket.send(piece)
                    left -= piece.count
                    if left == 0 { return }
                }
            }
            do {
                let connection = try await SMTPConnection.open(
                    to: server.address, configuration: configuration, on: threads)
                let results = await connection.deliver(mail(["a"]), content: MemoryContent(messageContent))
                #expect(results.map(\.result) == [cut == length ? .ok : .temporaryFailure], "cut at \(cut)")
            } catch {
                #expect(error.result == .temporaryFailure)
            }
            do { try await server.finish() } catch { continue }
        }
        await threads.shutdown()
    }

    @Test func nobodyListens() async throws {
        let threads = NetworkThreads()
        let (listener, port) = try RawSocket.listen()
        shutdown(listener.descriptor, Int32(SHUT_RDWR))
        do {
            _ = try await SMTPConnection.open(
                to: .internet(address: "127.0.0.1", port: port), configuration: configuration, on: threads)
            Issue.record("nobody listens there")
        } catch {
            #expect(error.status == EnhancedStatusCode(4, 4, 1))
            #expect(error.reply == "cannot connect to 127.0.0.1 port \(port): connection refused")
        }
        await threads.shutdown()
    }

    @Test(arguments: [("127.0.0.2", true), ("192.0.2.77", false)])
    func theSourceAddressIsUsedOrNamed(source: String, works: Bool) async throws {
        let threads = NetworkThreads()
        let server = try await TestServer()
        do {
            let connection = try await SMTPConnection.open(
                to: .internet(address: "127.0.0.1", port: server.port), source: source, configuration: configuration,
                on: threads)
            #expect(works && connection.localAddress == source)
            await connection.quit()
        } catch {
            #expect(!works && error.reply.hasSuffix("192.0.2.77 is not an address of this machine"))
        }
        await server.stop()
        await threads.shutdown()
    }

    @Test func cancellingTheWaitForAGreetingEndsIt() async throws {
        let threads = NetworkThreads()
        let isReached = Flag()
        let server = try ScriptedServer { socket in
            isReached.set()
            _ = try socket.readToEnd()
        }
        let address = server.address
        let attempt = Task {
            do {
                _ = try await SMTPConnection.open(to: address, configuration: configuration, on: threads)
                return false
            } catch {
                return true
            }
        }
        #expect(await eventually { isReached.isSet })
        attempt.cancel()
        #expect(await attempt.value)
        try await server.finish()
        await threads.shutdown()
    }

    @Test func ourClientAndOurServerUnderstandEachOther() async throws {
        let refusal = Reply(550, EnhancedStatusCode(5, 1, 1), "no")
        let server = try await TestServer(FakeStore(.otherThread) { $0 == "b" ? refusal : nil })
        let threads = NetworkThreads()
        let connection = try await SMTPConnection.open(
            to: .internet(address: "127.0.0.1", port: server.port), configuration: configuration, on: threads)
        for _ in 0..<20 {
            let results = await connection.deliver(mail(["a", "b"]), content: MemoryContent(messageContent))
            #expect(results.map(\.result) == [.ok, .permanentFailure])
            let none = await connection.deliver(mail(["b"]), content: MemoryContent(messageContent))
            #expect(none.map(\.result) == [.permanentFailure])
            #expect(connection.isReusable)
        }
        await connection.quit()
        await server.stop()
        await threads.shutdown()
        #expect(server.store.value { $0.committed } == Array(repeating: messageContent, count: 20))
    }
}

/// Set once, in any thread.
final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set() { value.withLock { $0 = true } }
    /// Blocks the thread, ten seconds at most.
    func wait() {
        for _ in 0..<10_000 where !isSet { usleep(1000) }
    }
}
