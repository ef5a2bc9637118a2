import Glibc
import MailModel
import SMTPProtocol
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(2)))
struct SMTPServerTests {
    @Test(arguments: [FakeStore.Mode.atOnce, .otherThread, .pausingBriefly])
    func aWholeSessionStepByStep(mode: FakeStore.Mode) async throws {
        let test = try await TestServer(FakeStore(mode))
        let port = test.port
        try await blocking {
            let socket = try RawSocket.connect(to: port)
            try socket.expect("220")
            for (line, code) in [
                ("EHLO client.example.org", "250"), ("MAIL FROM:<a@example.org>", "250"),
                ("RCPT TO:<b@example.test>", "250"), ("DATA", "354"), (messageText + ".", "250"),
            ] {
                try socket.send(line + "\r\n")
                try socket.expect(code)
            }
            try socket.send("QUIT\r\n")
            #expect(try socket.readToEnd().hasPrefix("221 "))
        }
        await test.stop()
        let state = test.store.value { ($0.committed, $0.reasons, $0.facts) }
        #expect(state.0 == [messageContent])
        #expect(state.1 == ["quit"])
        let facts = try #require(state.2.first)
        #expect(facts.helo == "client.example.org" && facts.esmtp)
        #expect(facts.clientAddress == "127.0.0.1" && facts.localPort == port && !facts.isUnix)
        #expect(facts.sessionName.utf8.count == 16)
    }

    @Test(arguments: [FakeStore.Mode.atOnce, .otherThread, .pausingBriefly])
    func everythingAtOnceThenEndOfInput(mode: FakeStore.Mode) async throws {
        let test = try await TestServer(FakeStore(mode))
        let port = test.port
        let text = try await blocking {
            let socket = try RawSocket.connect(to: port)
            try socket.send(wholeSession)
            socket.endOutput()
            return try socket.readToEnd()
        }
        #expect(text.contains("250 2.0.0 stored\r\n221 "))
        await test.stop()
        #expect(test.store.value { $0.committed } == [messageContent])
        #expect(test.store.isBalanced)
    }

    @Test func byteByByte() async throws {
        let test = try await TestServer(FakeStore(.otherThread))
        let port = test.port
        try await blocking {
            let socket = try RawSocket.connect(to: port)
            for byte in wholeSession.utf8 { try socket.send([byte]) }
            #expect(try socket.readToEnd().contains("250 2.0.0 stored\r\n221 "))
        }
        await test.stop()
        #expect(test.store.value { $0.committed } == [messageContent])
    }

    /// A session that breaks off after any number of octets leaves nothing open, whether it ends or is reset.
    @Test(arguments: [FakeStore.Mode.atOnce, .otherThread], [true, false])
    func cutAnywhereNothingStays(mode: FakeStore.Mode, reset: Bool) async throws {
        let test = try await TestServer(FakeStore(mode))
        let port = test.port
        let bytes = Array(wholeSession.utf8)
        try await blocking {
            for cut in stride(from: 0, to: bytes.count, by: 3) {
                let socket = try RawSocket.connect(to: port)
                if reset { socket.resetOnClose() }
                do { try socket.send(Array(bytes[..<cut])) } catch { continue }
            }
        }
        #expect(await eventually { await test.server.sessionCount() == 0 })
        await test.stop()
        #expect(test.store.isBalanced)
        #expect(test.store.value { $0.reasons.count == $0.connected })
        #expect(test.store.value { $0.committed.allSatisfy { $0 == messageContent } })
    }

    @Test func twoHundredSessionsAtOnce() async throws {
        let test = try await TestServer(FakeStore(.holdingCommits))
        let port = test.port
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<200 {
                group.addTask {
                    try await blocking {
                        let socket = try RawSocket.connect(to: port)
                        try socket.send(wholeSession)
                        #expect(try socket.readToEnd().contains("250 2.0.0 stored\r\n221 "))
                    }
                }
            }
            // Nobody is answered before all two hundred wait for their commit.
            #expect(await eventually { test.store.value { $0.waiting.count } == 200 })
            test.store.release()
            try await group.waitForAll()
        }
        await test.stop()
        #expect(test.store.value { $0.committed.count } == 200)
    }

    @Test func aPausedStoreStopsReading() async throws {
        let test = try await TestServer(FakeStore(.pausing)) { $0.maxMessageSize = 64 << 20 }
        let port = test.port
        let size = 16 << 20
        async let client: Void = blocking {
            let socket = try RawSocket.connect(to: port)
            try socket.send("EHLO c.example\r\n" + envelopeText)
            let line = Array((String(repeating: "x", count: 1022) + "\r\n").utf8)
            let block = Array(repeating: line, count: 64).flatMap { $0 }
            for _ in 0..<(size / block.count) { try socket.send(block) }
            try socket.send(".\r\nQUIT\r\n")
            #expect(try socket.readToEnd().contains("250 2.0.0 stored"))
        }
        #expect(await eventually { test.store.value { !$0.waiting.isEmpty } })
        // The kernel's buffers fill up; what the store holds meanwhile stays small.
        #expect(test.store.value { $0.appended } <= 128 << 10)
        test.store.release()
        try await client
        await test.stop()
        #expect(test.store.value { $0.committed.map(\.count) } == [size])
    }

    @Test func aFailingStoreAnswersAtTheEndOfContent() async throws {
        let reply = Reply(452, EnhancedStatusCode(4, 3, 1), "spool is full")
        let test = try await TestServer(FakeStore(.failing(reply)))
        let port = test.port
        let text = try await blocking {
            let socket = try RawSocket.connect(to: port)
            try socket.send(wholeSession)
            return try socket.readToEnd()
        }
        #expect(text.contains("452 4.3.1 spool is full\r\n221 "))
        await test.stop()
        #expect(test.store.value { $0.committed.isEmpty && $0.aborted == 1 })
    }

    @Test func aRefusedRecipientIsLogged() async throws {
        let test = try await TestServer(
            FakeStore { $0 == "b" ? Reply(550, EnhancedStatusCode(5, 1, 1), "nobody") : nil })
        let port = test.port
        let text = try await blocking {
            let socket = try RawSocket.connect(to: port)
            try socket.send("EHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nQUIT\r\n")
            return try socket.readToEnd()
        }
        #expect(text.contains("550 5.1.1 nobody"))
        await test.stop()
        #expect(test.store.value { $0.refused.first?.hasSuffix("550 5.1.1 nobody") } == true)
        #expect(test.store.value { $0.begun } == 0)
    }

    @Test func oneSessionTooMany() async throws {
        var limits = ServerLimits()
        limits.sessions = 2
        let test = try await TestServer(limits: limits)
        let port = test.port
        try await blocking {
            let first = try RawSocket.connect(to: port)
            let second = try RawSocket.connect(to: port)
            try first.expect("220")
            try second.expect("220")
            let third = try RawSocket.connect(to: port)
            #expect(try third.readToEnd().hasPrefix("421 4.7.0 "))
            try first.send("QUIT\r\n")
            _ = try first.readToEnd()
            withExtendedLifetime(second) {}
        }
        #expect(await eventually { await test.server.sessionCount() <= 1 })
        #expect(test.store.value { $0.refused.map { String($0.prefix(22)) } } == ["(connection): 421 4.7."])
        try await blocking { try RawSocket.connect(to: port).expect("220") }
        await test.stop()
    }

    @Test func anIdlePeerIsSentAway() async throws {
        var limits = ServerLimits()
        limits.idleTimeout = .milliseconds(100)
        let test = try await TestServer(limits: limits)
        let port = test.port
        let text = try await blocking { try RawSocket.connect(to: port).readToEnd() }
        #expect(text.contains("\r\n421 "))
        await test.stop()
        #expect(test.store.value { $0.reasons } == ["timeout"])
    }

    /// Bytes alone are no progress: a command must end before the time is over.
    @Test func aDrippingPeerIsSentAway() async throws {
        var limits = ServerLimits()
        limits.idleTimeout = .milliseconds(200)
        let test = try await TestServer(limits: limits)
        let port = test.port
        try await blocking {
            let socket = try RawSocket.connect(to: port)
            try socket.expect("220")
            var got: [UInt8] = []
            // Ten seconds, if the server let it.
            for _ in 0..<200 where got.isEmpty {
                try socket.send("x")
                var entry = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
                if poll(&entry, 1, 50) > 0 { got = try socket.read() }
            }
            #expect(String(decoding: got, as: UTF8.self).hasPrefix("421 "))
        }
        await test.stop()
    }

    @Test func whoWaitsForTheStoreIsNotIdle() async throws {
        var limits = ServerLimits()
        limits.idleTimeout = .milliseconds(50)
        let test = try await TestServer(FakeStore(.holdingCommits), limits: limits)
        let port = test.port
        async let text = blocking {
            let socket = try RawSocket.connect(to: port)
            try socket.send("EHLO c.example\r\n" + envelopeText + messageText + ".\r\n")
            return try socket.readToEnd()
        }
        #expect(await eventually { test.store.value { $0.waiting.count } == 1 })
        let start = ContinuousClock.now
        #expect(await eventually { ContinuousClock.now - start > .milliseconds(300) })
        test.store.release()
        #expect(try await text.contains("250 2.0.0 stored"))
        await test.stop()
    }

    /// Replies that nobody reads must not pile up.
    @Test func aPeerThatReadsNothingIsNotServedOn() async throws {
        let test = try await TestServer()
        let port = test.port
        try await blocking {
            let socket = try RawSocket.connect(to: port, receiveBuffer: 4096)
            _ = fcntl(socket.descriptor, F_SETFL, fcntl(socket.descriptor, F_GETFL) | O_NONBLOCK)
            let block = Array(String(repeating: "NOOP\r\n", count: 10_000).utf8)
            var (sent, refusals) = (0, 0)
            // The server stops reading, so the kernel stops taking; without that, 256 MiB would pass.
            while refusals < 20, sent < 256 << 20 {
                let count = block.withUnsafeBytes { send(socket.descriptor, $0.baseAddress, $0.count, 0) }
                if count > 0 { (sent, refusals) = (sent + count, 0) } else { refusals += 1 }
                var entry = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
                if count < 0 { poll(&entry, 1, 20) }
            }
            #expect(sent < 64 << 20)
            socket.resetOnClose()
        }
        #expect(await eventually { await test.server.sessionCount() == 0 })
        await test.stop()
    }
}
