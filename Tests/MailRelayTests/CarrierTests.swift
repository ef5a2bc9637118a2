import Glibc
import MailModel
import QueueKit
import Routing
import SMTPProtocol
import Synchronization
import Testing
import Transport

@testable import mail_relay

/// A server that takes connections one after the other and notes what it gets; how each goes is said in advance.
private final class FickleServer: Sendable {
    enum Manner: Sendable {
        /// Takes every message.
        case patient
        /// Takes so many messages, and closes while the connection rests.
        case closesAtRest(after: Int)
        /// Takes so many messages, and closes in the content of the next.
        case closesInContent(after: Int)
        /// Takes so many messages, and closes instead of the answer to the next one's final dot.
        case closesAfterDot(after: Int)
    }

    let port: UInt16
    private let listener: Int32
    private let contents = Monitor<[[String]]>([])

    init(_ manners: [Manner]) throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let (listener, bound) = (listener, address)
        _ = withUnsafePointer(to: bound) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, length) }
        }
        listen(listener, 16)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
        }
        port = UInt16(bigEndian: address.sin_port)
        _ = try Thread("fickle") { [contents] in
            for manner in manners {
                let peer = accept(listener, nil, nil)
                guard peer >= 0 else { return }
                contents.update { $0.append([]) }
                Self.serve(peer, manner) { text in contents.update { $0[$0.count - 1].append(text) } }
                close(peer)
            }
        }
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    /// The contents taken over each connection.
    var taken: [[String]] { contents.access { $0 } }

    private static func serve(_ peer: Int32, _ manner: Manner, _ took: (String) -> Void) {
        // Only a bound: the client is a task that waits its turn behind every other test of the run.
        var timeout = timeval(tv_sec: 300, tv_usec: 0)
        setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        say(peer, "220 fickle.example ESMTP")
        var count = 0
        while let line = readLine(peer) {
            guard line == "DATA" else {
                say(peer, line == "QUIT" ? "221 2.0.0 bye" : "250 2.0.0 yes")
                continue
            }
            say(peer, "354 go on")
            if case .closesInContent(count) = manner {
                _ = readLine(peer)
                return
            }
            var text: [String] = []
            while let line = readLine(peer), line != "." { text.append(line) }
            if case .closesAfterDot(count) = manner { return }
            took(text.joined(separator: "|"))
            say(peer, "250 2.0.0 taken")
            count += 1
            if case .closesAtRest(count) = manner { return }
        }
    }

    private static func say(_ peer: Int32, _ line: String) {
        let bytes = Array("\(line)\r\n".utf8)
        _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    private static func readLine(_ peer: Int32) -> String? {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while recv(peer, &byte, 1, 0) == 1 {
            if byte == 10 { return String(decoding: line.dropLast(), as: UTF8.self) }
            line.append(byte)
        }
        return nil
    }
}

@Suite struct CarrierTests {
    private let carrier = Carrier(
        resolver: Resolver(server: nil, prefersIPv4: true), threads: NetworkThreads(), hostname: "here.example")

    private func job(_ server: FickleServer, _ text: String) throws -> Job {
        let host = RelayHost(scheme: .smtpNoTLS, host: "127.0.0.1", port: server.port)
        let recipient = Recipient(try #require(Mailbox("a@away.example")))
        let content = Array("\(text)\r\nend\r\n".utf8)
        return Job(
            id: QueueID(now: Timestamp(milliseconds: 0), random: 1), nextHop: NextHop(place: .hosts([host])),
            mail: OutgoingMail(reversePath: .null, recipients: [recipient], size: content.count), numbers: [0],
            content: .bytes(content))
    }

    @Test func `a connection that closed at rest is replaced`() async throws {
        let server = try FickleServer([.closesAtRest(after: 1), .patient])
        let first = await carrier.carry(try job(server, "one"), over: nil)
        let second = await carrier.carry(try job(server, "two"), over: first.connection)
        #expect(second.results.map(\.result) == [.ok])
        #expect(server.taken == [["one|end"], ["two|end"]])
        await second.connection?.connection.quit()
    }

    @Test(arguments: [FickleServer.Manner.closesInContent(after: 1), .closesAfterDot(after: 1)])
    fileprivate func `content that was begun is not sent again at once`(_ manner: FickleServer.Manner) async throws {
        let server = try FickleServer([manner, .patient])
        let first = await carrier.carry(try job(server, "one"), over: nil)
        let second = await carrier.carry(try job(server, "two"), over: first.connection)
        #expect(second.results.map(\.result) == [.temporaryFailure])
        #expect(server.taken == [["one|end"]], "over one connection")
    }
}
