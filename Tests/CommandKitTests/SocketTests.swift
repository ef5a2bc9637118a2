import Glibc
import SystemPackage
import Testing

@testable import CommandKit

/// A directory that is removed with this value.
final class TemporaryDirectory {
    let path: String
    init() throws {
        var template = Array("/tmp/pouch-test-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.flatMap { mkdtemp($0) } != nil }
        try #require(made)
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    deinit {
        for name in ["socket", "file"] { unlink("\(path)/\(name)") }
        rmdir(path)
    }
}

struct ListeningSocketTests {
    @Test(arguments: ["127.0.0.1", "::1", "[::1]"])
    func `a port on loopback`(text: String) throws {
        let address = try #require(SocketAddress(numeric: text, port: 0))
        let listener = try ListeningSocket.tcp(address)
        defer { listener.close() }
        let bound = try #require(listener.boundAddress)
        #expect(bound.port > 0)
        #expect(fcntl(listener.descriptor, F_GETFD) & FD_CLOEXEC != 0)
        let failure = #expect(throws: CommandFailure.self) { try ListeningSocket.tcp(bound) }
        #expect(failure?.status == .unavailable)
        #expect(failure?.sentence.hasPrefix("cannot listen on \(bound): address already in use.") == true)
    }

    @Test func `IPv4 and IPv6 share a port number`() throws {
        let four = try ListeningSocket.tcp(try #require(SocketAddress(numeric: "0.0.0.0", port: 0)))
        defer { four.close() }
        let port = try #require(four.port)
        try ListeningSocket.tcp(try #require(SocketAddress(numeric: "::", port: port))).close()
    }

    @Test func `an address of another machine`() throws {
        let address = try #require(SocketAddress(numeric: "192.0.2.1", port: 0))
        let failure = #expect(throws: CommandFailure.self) { try ListeningSocket.tcp(address) }
        #expect(failure?.status == .configuration)
    }

    @Test(arguments: ["", "no-such-interface.invalid", "1.2.3", "a\0b"])
    func `names of nothing`(text: String) {
        let failure = #expect(throws: CommandFailure.self) { try SocketAddress.all(named: text, port: 25) }
        #expect(failure?.status == .configuration)
    }

    @Test(arguments: [
        ("127.0.0.1", "127.0.0.1:25"), ("::1", "[::1]:25"), ("2001:DB8:0::1", "[2001:db8::1]:25"),
    ])
    func `addresses are shown one way`(text: String, shown: String) throws {
        #expect(try SocketAddress.all(named: text, port: 25).map(\.description) == [shown])
    }

    @Test func `the loopback interface has its addresses`() throws {
        #expect(try SocketAddress.all(named: "lo", port: 25).contains { $0.description == "127.0.0.1:25" })
        #expect(try !SocketAddress.all(named: "localhost", port: 25).isEmpty)
    }

    @Test func `a Unix socket has the mode asked for, whatever the umask`() throws {
        let directory = try TemporaryDirectory()
        let before = Hardening.setUmask(0o077)
        defer { Hardening.setUmask(before) }
        let listener = try ListeningSocket.unix(path: "\(directory.path)/socket", mode: 0o660)
        defer { listener.close() }
        var status = stat()
        #expect(lstat("\(directory.path)/socket", &status) == 0)
        #expect(status.st_mode & 0o7777 == 0o660)
        #expect(listener.port == nil)
    }

    @Test func `a stale socket is replaced, a living one is not`() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/socket"
        #expect(try !ListeningSocket.answers(atPath: path))
        try ListeningSocket.unix(path: path, mode: 0o600).close()
        #expect(try !ListeningSocket.answers(atPath: path))
        let listener = try ListeningSocket.unix(path: path, mode: 0o600)
        defer { listener.close() }
        #expect(try ListeningSocket.answers(atPath: path))
        let failure = #expect(throws: CommandFailure.self) { try ListeningSocket.unix(path: path, mode: 0o600) }
        #expect(failure?.status == .unavailable)
    }

    @Test func `any other file is left alone`() throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/file"
        try FileDescriptor.open(FilePath(path), .writeOnly, options: .create, permissions: .ownerReadWrite).close()
        let failure = #expect(throws: CommandFailure.self) { try ListeningSocket.unix(path: path, mode: 0o600) }
        #expect(failure?.status == .configuration)
        #expect(access(path, F_OK) == 0)
    }

    @Test(arguments: ["", String(repeating: "x", count: 108), "/a\0b"])
    func `paths no socket can have`(path: String) {
        #expect(throws: CommandFailure.self) { try UnixAddress(path) }
    }
}

struct LineConnectionTests {
    private func pair() throws -> (client: LineConnection, server: LineConnection, TemporaryDirectory) {
        let directory = try TemporaryDirectory()
        let listener = try ListeningSocket.unix(path: "\(directory.path)/socket", mode: 0o600)
        defer { listener.close() }
        let client = try LineConnection(connectingTo: "\(directory.path)/socket")
        let server = try #require(try LineConnection.accept(from: listener, within: .seconds(5)))
        return (client, server, directory)
    }

    @Test func `lines go both ways and the kernel says who`() throws {
        let (client, server, directory) = try pair()
        try client.send(["command": "flush"], within: .seconds(5))
        try client.send(["command": "list"], within: .seconds(5))
        #expect(try server.receive(within: .seconds(5))?["command"]?.string == "flush")
        #expect(try server.receive(within: .seconds(5))?["command"]?.string == "list")
        #expect(try server.peer() == client.peer())
        #expect(try server.peer().uid == geteuid())
        withExtendedLifetime(directory) {}
    }

    @Test func `silence is 75, the end is nil`() throws {
        var (client, server, _): (LineConnection?, LineConnection, TemporaryDirectory) = try pair()
        let failure = #expect(throws: CommandFailure.self) { try server.receive(within: .milliseconds(1)) }
        #expect(failure?.status == .temporaryFailure)
        #expect(client != nil)
        client = nil
        #expect(try server.receive(within: .seconds(5)) == nil)
    }

    @Test(arguments: [("no JSON", "hello\n"), ("broken off", "{\"a\":1")])
    func `nonsense is 76`(reason: String, text: String) throws {
        var ends: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let server = try LineConnection(taking: ends[0], place: "test")
        try FileDescriptor(rawValue: ends[1]).writeAll(text.utf8)
        close(ends[1])
        let failure = #expect(throws: CommandFailure.self, "\(reason)") { try server.receive(within: .seconds(5)) }
        #expect(failure?.status == .protocolError)
    }

    @Test func `nobody there is 75`() {
        let failure = #expect(throws: CommandFailure.self) { try LineConnection(connectingTo: "/nonexistent/control") }
        #expect(failure?.status == .temporaryFailure)
    }

    @Test(arguments: [
        (Duration.zero, Int32(0)), (.milliseconds(-5), 0), (.nanoseconds(1), 1), (.milliseconds(1500), 1500),
        (.seconds(1 << 60), 1_000_000_000),
    ])
    func `waiting rounds up and never waits for ever`(duration: Duration, expected: Int32) {
        #expect(Wait.milliseconds(duration) == expected)
    }
}

struct ReadinessTests {
    private func receiver(_ name: String) throws -> FileDescriptor {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        #expect(try UnixAddress(name).withPointer { bind(descriptor, $0, $1) } == 0)
        return FileDescriptor(rawValue: descriptor)
    }

    private func message(_ descriptor: FileDescriptor) throws -> String {
        var buffer = [UInt8](repeating: 0, count: 1000)
        let count = try buffer.withUnsafeMutableBytes { try descriptor.read(into: $0) }
        return String(decoding: buffer.prefix(count), as: UTF8.self)
    }

    @Test(arguments: [true, false])
    func `messages arrive at a path and at an abstract name`(isAbstract: Bool) throws {
        let directory = try TemporaryDirectory()
        let name = isAbstract ? "@pouch-test-\(getpid())" : "\(directory.path)/socket"
        let manager = try receiver(name)
        defer { try? manager.close() }
        let readiness = try Readiness(notifySocket: name, readyDescriptor: nil)
        try readiness.status("one\ntwo")
        try readiness.ready(status: "2 listeners")
        try readiness.stopping()
        #expect(try message(manager) == "STATUS=one\\x0atwo")
        #expect(try message(manager) == "READY=1\nSTATUS=2 listeners")
        #expect(try message(manager) == "STOPPING=1")
    }

    @Test func `the descriptor gets one newline and is closed`() throws {
        let (reader, writer) = try FileDescriptor.pipe()
        try Readiness(notifySocket: nil, readyDescriptor: writer.rawValue).ready()
        #expect(try readAll(reader) == "\n")
    }

    @Test(arguments: [0, 2, -1, 60_000]) func `descriptors that cannot be meant`(number: Int32) {
        let failure = #expect(throws: CommandFailure.self) {
            try Readiness(notifySocket: nil, readyDescriptor: number)
        }
        #expect(failure?.status == .usage)
    }

    @Test(arguments: ["vsock:2:1234", "relative"]) func `addresses that are no Unix socket`(name: String) {
        let failure = #expect(throws: CommandFailure.self) { try Readiness(notifySocket: name, readyDescriptor: nil) }
        #expect(failure?.status == .configuration)
    }

    @Test func `nobody to tell is fine`() throws {
        try Readiness(notifySocket: nil, readyDescriptor: nil).ready()
        try Readiness(notifySocket: "", readyDescriptor: nil).stopping()
    }
}
