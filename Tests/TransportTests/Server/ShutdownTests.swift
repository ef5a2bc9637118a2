import Glibc
import SMTPProtocol
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(2)))
struct ShutdownTests {
    @Test func anIdleSessionGets421() async throws {
        let test = try await TestServer()
        let port = test.port
        let socket = try await blocking {
            let socket = try RawSocket.connect(to: port)
            try socket.expect("220")
            return socket
        }
        async let stopped: Void = test.stop()
        let text = try await blocking { try socket.readToEnd() }
        #expect(text.hasPrefix("421 "))
        await stopped
        #expect(test.store.value { $0.reasons } == ["shutdown"])
    }

    private func committing(_ test: TestServer) async throws -> RawSocket {
        let port = test.port
        let socket = try await blocking {
            let socket = try RawSocket.connect(to: port)
            try socket.send("EHLO c.example\r\n" + envelopeText + messageText + ".\r\n")
            return socket
        }
        #expect(await eventually { test.store.value { $0.waiting.count } == 1 })
        return socket
    }

    @Test func aMessageUnderWayIsFinished() async throws {
        let test = try await TestServer(FakeStore(.holdingCommits))
        let port = test.port
        let socket = try await committing(test)
        async let stopped: Void = test.stop()
        // Once the listener is gone the sessions are being told.
        #expect(await eventually { await isRefused(port) })
        test.store.release()
        let text = try await blocking { try socket.readToEnd() }
        #expect(text.contains("250 2.0.0 stored"))
        await stopped
        #expect(test.store.isBalanced)
    }

    private func isRefused(_ port: UInt16) async -> Bool {
        do {
            _ = try await blocking { try RawSocket.connect(to: port) }
            return false
        } catch {
            return true
        }
    }

    @Test func theDeadlineDropsWhoStays() async throws {
        let test = try await TestServer(FakeStore(.holdingCommits))
        let socket = try await committing(test)
        await test.server.shutdown(within: .milliseconds(50))
        test.store.release()  // Far too late; it must harm nobody.
        let text = try await blocking { try socket.readToEnd() }
        #expect(!text.contains("stored"))
        #expect(test.store.value { $0.reasons.count } == 1)
    }

    /// A listening socket that another process holds too must go on accepting there.
    @Test func anInheritedSocketIsClosedButNotShutDown() async throws {
        let (listener, port) = try RawSocket.listen()
        let configuration = ServerConfiguration(hostname: "mx.example.test")
        for _ in 0..<2 {
            let server = try await SMTPServer.start(
                [ServerListener(.descriptor(dup(listener.descriptor)), configuration: configuration)],
                policy: FakeStore())
            let text = try await blocking {
                let socket = try RawSocket.connect(to: port)
                try socket.send(wholeSession)
                return try socket.readToEnd()
            }
            #expect(text.contains("250 2.0.0 stored"))
            await server.shutdown(within: .seconds(5))
        }
    }

    @Test func aPlaceThatIsTakenIsNamed() async throws {
        let (listener, port) = try RawSocket.listen()
        let place = ServerListener(
            .address("127.0.0.1", port: port), configuration: ServerConfiguration(hostname: "mx.example.test"))
        do {
            _ = try await SMTPServer.start([place], policy: FakeStore())
            Issue.record("the port was taken")
        } catch {
            #expect(error.description.hasPrefix("cannot listen on 127.0.0.1 port \(port): "))
            #expect(error.code == EADDRINUSE)
        }
        withExtendedLifetime(listener) {}
    }

    @Test func aDescriptorThatIsNoSocketIsNamed() async throws {
        let place = ServerListener(.descriptor(-1), configuration: ServerConfiguration(hostname: "mx.example.test"))
        do {
            _ = try await SMTPServer.start([place], policy: FakeStore())
            Issue.record("there is no such descriptor")
        } catch {
            #expect(error.description.hasPrefix("cannot listen on inherited descriptor -1: "))
        }
    }

    @Test func tcpNoDelayIsSet() async throws {
        let test = try await TestServer()
        let port = test.port
        let isSet = try await blocking {
            let socket = try RawSocket.connect(to: port)
            try socket.expect("220")
            let mine = socket.port
            // The server's end is the descriptor of this process whose peer we are.
            for descriptor in 0..<Int32(1024) where SocketName(peerOf: descriptor)?.port == mine {
                var (value, length) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
                getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &length)
                return value != 0
            }
            return false
        }
        #expect(isSet)
        await test.stop()
    }

    @Test func aUnixSocketNamesThePeersUser() async throws {
        let path = "/tmp/pouch-test-\(UInt64.random(in: .min ... .max)).sock"
        defer { unlink(path) }
        var configuration = ServerConfiguration(hostname: "agent.example.test")
        configuration.flavour = .lmtp
        let store = FakeStore()
        let server = try await SMTPServer.start(
            [ServerListener(.unix(path: path), configuration: configuration)], policy: store)
        let threads = NetworkThreads()
        var client = ClientConfiguration(helo: "c.example")
        client.flavour = .lmtp
        let connection = try await SMTPConnection.open(to: .unix(path: path), configuration: client, on: threads)
        let results = await connection.deliver(mail(["b", "c"]), content: MemoryContent(messageContent))
        // The fake store gives one reply only; the second recipient must not be taken for stored.
        #expect(results.map(\.result) == [.ok, .temporaryFailure])
        await connection.quit()
        await server.shutdown(within: .seconds(5))
        await threads.shutdown()
        let facts = try #require(store.value { $0.facts.first })
        #expect(facts.isUnix && facts.clientAddress == "local" && facts.peerUID == geteuid())
    }
}
