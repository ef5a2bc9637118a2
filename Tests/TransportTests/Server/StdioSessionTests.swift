import Glibc
import SMTPProtocol
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(2)))
struct StdioSessionTests {
    private func serve(_ store: FakeStore, _ socket: RawSocket, limits: ServerLimits = ServerLimits()) {
        StdioSession(
            configuration: ServerConfiguration(hostname: "mx.example.test"), policy: store, limits: limits,
            input: socket.descriptor, output: socket.descriptor
        ).run()
        socket.endOutput()
    }

    @Test(arguments: [FakeStore.Mode.atOnce, .otherThread, .pausingBriefly])
    func aWholeSession(mode: FakeStore.Mode) async throws {
        let store = FakeStore(mode)
        let (ours, theirs) = try RawSocket.pair()
        async let served: Void = blocking { serve(store, theirs) }
        let text = try await blocking {
            try ours.send(wholeSession)
            return try ours.readToEnd()
        }
        try await served
        #expect(text.contains("250 2.0.0 stored\r\n221 "))
        #expect(store.value { $0.committed } == [messageContent])
        #expect(store.value { $0.reasons } == ["quit"])
        #expect(store.value { $0.facts.first?.isUnix } == true)
    }

    @Test func pipesInAndOut() throws {
        var (input, output): ([Int32], [Int32]) = ([0, 0], [0, 0])
        #expect(pipe(&input) == 0 && pipe(&output) == 0)
        let bytes = Array(wholeSession.utf8)
        #expect(write(input[1], bytes, bytes.count) == bytes.count)
        close(input[1])
        let store = FakeStore()
        StdioSession(
            configuration: ServerConfiguration(hostname: "mx.example.test"), policy: store, input: input[0],
            output: output[1]
        ).run()
        var reply = [UInt8](repeating: 0, count: 65536)
        let got = read(output[0], &reply, reply.count)
        #expect(String(decoding: reply.prefix(max(0, got)), as: UTF8.self).contains("250 2.0.0 stored\r\n221 "))
        #expect(store.value { $0.facts.first?.clientAddress } == "local")
        for descriptor in [input[0], output[0], output[1]] { close(descriptor) }
    }

    @Test(arguments: [FakeStore.Mode.atOnce, .otherThread])
    func cutAnywhereNothingStays(mode: FakeStore.Mode) async throws {
        let store = FakeStore(mode)
        let bytes = Array(wholeSession.utf8)
        for cut in stride(from: 0, to: bytes.count, by: 7) {
            let (ours, theirs) = try RawSocket.pair()
            async let served: Void = blocking { serve(store, theirs) }
            try ours.send(Array(bytes[..<cut]))
            shutdown(ours.descriptor, Int32(SHUT_RDWR))
            try await served
        }
        #expect(store.isBalanced)
        #expect(store.value { $0.reasons.count == $0.connected })
    }

    @Test func anIdlePeerIsSentAway() throws {
        let store = FakeStore()
        var limits = ServerLimits()
        limits.idleTimeout = .milliseconds(50)
        let (ours, theirs) = try RawSocket.pair()
        serve(store, theirs, limits: limits)
        #expect(try ours.readToEnd().contains("\r\n421 "))
        #expect(store.value { $0.reasons } == ["timeout"])
    }
}
