import Glibc
import Synchronization
import SystemPackage
import Testing

@testable import CommandKit

struct ControlMessagesTests {
    @Test(arguments: [
        ControlRequest(verb: "flush", messages: .all),
        ControlRequest(verb: "hold", messages: .ids(["0k2c", "0k3"]), reason: "two\nlines"),
    ])
    func `a request comes back as it was`(request: ControlRequest) throws {
        #expect(try ControlRequest(JSONValue(parsing: request.json.rendered)) == request)
    }

    @Test(arguments: [
        ("no object", "[]"), ("no verb", #"{"ids":"all"}"#), ("no ids", #"{"verb":"flush"}"#),
        ("no list", #"{"verb":"flush","ids":"some"}"#), ("an empty list", #"{"verb":"flush","ids":[]}"#),
        ("a number among them", #"{"verb":"flush","ids":["0k",1]}"#),
        ("no text", #"{"verb":"hold","ids":"all","reason":1}"#),
    ])
    func `what is no request is 76`(reason: String, text: String) throws {
        let json = try JSONValue(parsing: text)
        let failure = #expect(throws: CommandFailure.self, "\(reason)") { try ControlRequest(json) }
        #expect(failure?.status == .protocolError)
    }

    @Test(
        arguments: [
            ("nothing", 0, 0, nil), ("a failure after one", 1, 0, "no."), ("one line, just", 20_000, 20_000, nil),
            ("several lines", 45_001, 20_001, "a\nb"),
        ] as [(String, Int, Int, String?)])
    func `a reply comes back as it was, in lines that fit`(
        reason: String, changed: Int, unchanged: Int, error: String?
    ) throws {
        var reply = ControlReply(changed: ids(changed), unchanged: ids(unchanged))
        if let error { (reply.ok, reply.error, reply.status) = (false, error, 65) }
        var read = ControlReply()
        var isOpen = true
        for line in reply.lines {
            #expect(isOpen && line.rendered.utf8.count < JSONValue.sizeLimit)
            isOpen = try read.add(JSONValue(parsing: line.rendered))
        }
        let isSame = read == reply
        #expect(!isOpen && isSame, "\(reason)")
    }

    private func ids(_ count: Int) -> [String] { (0..<count).map { "0k2cabcdefghij\(100_000 + $0)" } }
}

struct ControlAccessTests {
    private let access = ControlAccess(ownUID: 990, group: 60_990)

    @Test(arguments: [
        ("root", 0, 1, []), ("the runner's own uid", 990, 1, []), ("the group", 4_000_000, 60_990, []),
        ("one of several groups", 4_000_000, 1, [1, 60_990]),
    ])
    func `those who may`(reason: String, uid: UInt32, gid: UInt32, groups: [UInt32]) throws {
        try access.check(uid: uid, gid: gid, groups: groups)
    }

    @Test(
        arguments: [("other groups", [1, 2]), ("no account and no word of the kernel", nil)] as [(String, [UInt32]?)])
    func `others get 77 and the name of the group`(reason: String, groups: [UInt32]?) {
        let failure = #expect(throws: CommandFailure.self, "\(reason)") {
            try access.check(uid: 4_000_000, gid: 1, groups: groups)
        }
        #expect(failure?.status == .noPermission)
        #expect(failure?.sentence.hasPrefix("uid 4000000 may not order the queue") == true)
        #expect(failure?.sentence.contains("the group with gid 60990") == true)
    }

    @Test func `the kernel knows the groups of a peer`() throws {
        var ends: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { for end in ends { close(end) } }
        let groups = try #require(try PeerCredentials.groups(ofSocket: ends[0]))
        var own = [gid_t](repeating: 0, count: 65536)
        let count = getgroups(65536, &own)
        #expect(groups.sorted() == own.prefix(Int(count)).sorted())
    }
}

struct ControlServerTests {
    private let directory: TemporaryDirectory
    private var path: String { "\(directory.path)/socket" }

    init() throws { directory = try TemporaryDirectory() }

    /// Complaints of the server are failures of the test.
    private func server(_ handler: @escaping ControlServer.Handler) throws -> ControlServer {
        try ControlServer(path: path, report: { Issue.record("\($0)") }, handler: handler)
    }

    @Test func `an order goes there, its answer comes back, with the uid of the kernel`() throws {
        let server = try server { request, answer in
            #expect(request.uid == geteuid())
            guard case .ids(let ids) = request.messages else { return answer(ControlReply()) }
            answer(ControlReply(changed: ids, unchanged: [request.verb, request.reason ?? ""]))
        }
        defer { server.stop() }
        let request = ControlRequest(verb: "hold", messages: .ids(["0k2", "0k3"]), reason: "why")
        let reply = try ControlClient.ask(path: path, request: request)
        #expect(reply == ControlReply(changed: ["0k2", "0k3"], unchanged: ["hold", "why"]))
    }

    @Test func `the socket is the group's, and no one else's`() throws {
        let server = try server { $1(ControlReply()) }
        defer { server.stop() }
        var status = stat()
        var folder = stat()
        #expect(lstat(path, &status) == 0 && stat(directory.path, &folder) == 0)
        #expect(status.st_mode & 0o7777 == 0o660 && status.st_gid == folder.st_gid)
    }

    @Test func `an answer may come later, from another thread, and be long`() throws {
        let ids = (0..<50_000).map { "\($0)" }
        let server = try server { request, answer in
            do throws(CommandFailure) {
                try Thread.start { answer(ControlReply(changed: ids)) }
            } catch {
                answer(ControlReply(error))
            }
        }
        defer { server.stop() }
        let reply = try ControlClient.ask(path: path, request: ControlRequest(verb: "flush", messages: .all))
        let isSame = reply?.changed == ids
        #expect(isSame)
    }

    @Test func `an answer that is dropped is a fault, not a wait`() throws {
        let server = try server { _, _ in }
        defer { server.stop() }
        let reply = try ControlClient.ask(path: path, request: ControlRequest(verb: "flush", messages: .all))
        #expect(reply?.status == 70)
    }

    @Test(arguments: [
        ("no JSON", "hello\n"), ("no request", "{}\n"),
        ("too long", String(repeating: "x", count: JSONValue.sizeLimit + 1)),
    ])
    func `nonsense is answered with 76`(reason: String, text: String) throws {
        let server = try server { _, answer in answer(ControlReply()) }
        defer { server.stop() }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        #expect(try UnixAddress(path).withPointer { connect(descriptor, $0, $1) } == 0)
        _ = try? FileDescriptor(rawValue: descriptor).writeAll(text.utf8)
        let client = try LineConnection(taking: descriptor, place: "test")
        #expect(try client.receive(within: .seconds(5))?["status"]?.int == 76)
    }

    @Test func `more than sixteen orders at a time are told to come later`() throws {
        let held = Mutex<[@Sendable () -> Void]>([])
        let server = try server { request, answer in
            held.withLock { $0.append { answer(ControlReply()) } }
        }
        defer { server.stop() }
        var clients: [LineConnection] = []
        for _ in 0..<ControlServer.connectionLimit { clients.append(try LineConnection(connectingTo: path)) }
        // Connections are taken in order, so all sixteen are before this one.
        let reply = try ControlClient.ask(path: path, request: ControlRequest(verb: "flush", messages: .all))
        #expect(reply?.status == 75)
        for client in clients { try client.send(["verb": "flush", "ids": "all"], within: .seconds(5)) }
        var answered = 0
        for _ in 0..<100_000 where answered < clients.count {
            for answer in held.withLock({ answers in
                defer { answers = [] }; return answers
            }) {
                answer()
                answered += 1
            }
            sched_yield()
        }
        for client in clients { #expect(try client.receive(within: .seconds(5))?["ok"]?.bool == true) }
    }

    @Test func `nobody listens: no socket, a stale one, one that was stopped`() throws {
        let request = ControlRequest(verb: "flush", messages: .all)
        #expect(try ControlClient.ask(path: path, request: request) == nil)
        try ListeningSocket.unix(path: path, mode: 0o600).close()
        #expect(try ControlClient.ask(path: path, request: request) == nil)
        try server { $1(ControlReply()) }.stop()
        #expect(access(path, F_OK) != 0)
        #expect(try ControlClient.ask(path: path, request: request) == nil)
    }

    @Test func `a socket that another process put there stays`() throws {
        let server = try server { $1(ControlReply()) }
        unlink(path)
        let other = try ListeningSocket.unix(path: path, mode: 0o600)
        defer { other.close() }
        server.stop()
        #expect(access(path, F_OK) == 0)
    }

    @Test func `two servers at one path`() throws {
        let server = try server { $1(ControlReply()) }
        defer { server.stop() }
        let failure = #expect(throws: CommandFailure.self) { try self.server { $1(ControlReply()) } }
        #expect(failure?.status == .unavailable)
    }

    @Test func `a runner that goes away is 75`() throws {
        let listener = try ListeningSocket.unix(path: path, mode: 0o600)
        try Thread.start {
            // Takes the request and ends without an answer.
            let connection = try? LineConnection.accept(from: listener, within: .seconds(5))
            _ = try? connection?.receive(within: .seconds(5))
            listener.close()
        }
        let failure = #expect(throws: CommandFailure.self) {
            try ControlClient.ask(path: path, request: ControlRequest(verb: "flush", messages: .all))
        }
        #expect(failure?.status == .temporaryFailure)
    }
}
