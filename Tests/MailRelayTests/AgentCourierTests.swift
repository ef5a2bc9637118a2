import CommandKit
import Glibc
import Logging
import MailModel
import SMTPProtocol
import Synchronization
import Testing
import Transport

@testable import mail_relay

/// The courier with shells in place of the delivering process: what it does with processes that misbehave.
struct AgentCourierTests {
    private let room: TemporaryDirectory

    init() throws { room = try TemporaryDirectory() }

    private func courier(_ script: String, _ change: (inout Courier.Limits) -> Void = { _ in }) throws -> Courier {
        var limits = Courier.Limits()
        change(&limits)
        let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        return try Courier(limits: limits, log: log) {
            var launch = ProcessLaunch("/bin/sh", ["-c", script])
            launch.environment = ["PATH": "/usr/bin:/bin"]
            return launch
        }
    }

    private func orders(_ users: [String]) throws -> [DeliveryOrder] {
        try users.map { user in
            let job = DeliveryJob(
                maildir: "\(room.path)/\(user)", home: "/", reversePath: .null,
                recipient: try mailbox("\(user)@example.org"))
            return DeliveryOrder(job: job, identity: nil, uid: geteuid())
        }
    }

    /// Gives all content, as a session would: it waits when told to. Then the replies.
    private func send(_ chunks: [[UInt8]], to users: [String], over courier: Courier) async throws -> [String] {
        let receiver = courier.begin(try orders(users))
        for chunk in chunks {
            if case .pause(let until) = receiver.append(chunk) {
                await withCheckedContinuation { going in until { going.resume() } }
            }
        }
        let replies: [Reply] = await withCheckedContinuation { going in receiver.commit { going.resume(returning: $0) }
        }
        return replies.map(\.summary)
    }

    /// Reads its job, its content and the final word; says how much it got.
    private static let honest = "read job <&3; n=$(wc -c); read word <&3; echo \"250 2.0.0 $n $word\""

    @Test func `all of it reaches every process`() async throws {
        let courier = try courier(Self.honest)
        defer { courier.stop() }
        let chunks = (0..<100).map { [UInt8](repeating: UInt8($0), count: 30_000) }
        let replies = try await send(chunks, to: ["a", "b", "c"], over: courier)
        #expect(replies == Array(repeating: "250 2.0.0 3000000 commit 3000000", count: 3))
    }

    @Test func `more recipients than processes, and empty content`() async throws {
        let courier = try courier(Self.honest) { $0.processes = 2 }
        defer { courier.stop() }
        let replies = try await send([], to: ["a", "b", "c"], over: courier)
        #expect(replies == Array(repeating: "250 2.0.0 0 commit 0", count: 3))
    }

    @Test(arguments: [
        ("dies at once", "exit 1", "451 4.3.0 the delivery ended without an answer"),
        (
            "killed in the middle", "read job <&3; head -c 10 >/dev/null; kill -9 $$",
            "451 4.3.0 the delivery ended without"
        ),
        ("refuses early", "read job <&3; echo '550 5.0.0 no'", "550 5.0.0 no"),
        (
            "claims success early", "read job <&3; echo '250 2.0.0 ok'",
            "451 4.3.0 the delivery ended with an answer that"
        ),
        ("talks without an end", "head -c 5000 /dev/zero", "451 4.3.0 the delivery ended without an answer"),
        ("talks nonsense", "echo hello", "451 4.3.0 the delivery ended with an answer that"),
    ])
    func `a bad process is a failure`(reason: String, script: String, reply: String) async throws {
        let courier = try courier(script)
        defer { courier.stop() }
        let chunks = [[UInt8]](repeating: [UInt8](repeating: 65, count: 16 << 10), count: 100)
        let replies = try await send(chunks, to: ["bad"], over: courier)
        #expect(replies.first?.hasPrefix(reply) == true, "\(reason): \(replies)")
    }

    @Test func `a process that takes nothing is stopped, the others finish`() async throws {
        let script =
            "read job <&3; case $job in *slow*) exec sleep 600 ;; esac; n=$(wc -c); read word <&3; echo \"250 2.0.0 $n\""
        let courier = try courier(script) { $0.stall = .milliseconds(500) }
        defer { courier.stop() }
        let chunks = [[UInt8]](repeating: [UInt8](repeating: 65, count: 16 << 10), count: 100)
        let replies = try await send(chunks, to: ["fast", "slow"], over: courier)
        #expect(
            replies == ["250 2.0.0 1638400", "451 4.3.0 the delivery took too long and was stopped. Try again later"])
    }

    @Test func `a process that never answers the final word is stopped`() async throws {
        let courier = try courier("cat >/dev/null; exec sleep 600") { $0.sync = .milliseconds(200) }
        defer { courier.stop() }
        let replies = try await send([[65]], to: ["a"], over: courier)
        #expect(replies == ["451 4.3.0 the delivery took too long and was stopped. Try again later"])
    }

    @Test func `a program that is not there`() async throws {
        let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let courier = try Courier(log: log) { ProcessLaunch("/nonexistent") }
        defer { courier.stop() }
        let replies = try await send([[65]], to: ["a", "b"], over: courier)
        #expect(replies == Array(repeating: "451 4.3.0 the delivery could not be started. Try again later", count: 2))
    }

    @Test func `a message that is broken off tells its process by the end of the job`() throws {
        let (started, over) = (try Fifo("\(room.path)/started"), try Fifo("\(room.path)/over"))
        let courier = try courier(
            "echo yes > \(started.path); read job <&3; cat >/dev/null; "
                + "if read word <&3; then w=word; else w=none; fi; echo $w > \(over.path)")
        defer { courier.stop() }
        let receiver = courier.begin(try orders(["a"]))
        #expect(started.line() == "yes\n")
        _ = receiver.append([65])
        receiver.abort()
        #expect(over.line() == "none\n")
    }

    @Test func `a message that is broken off before there was room starts nothing`() async throws {
        let started = try Fifo("\(room.path)/started")
        let courier = try courier("echo yes > \(started.path); \(Self.honest)") { $0.processes = 1 }
        defer { courier.stop() }
        let first = courier.begin(try orders(["a"]))
        #expect(started.line() == "yes\n")
        let second = courier.begin(try orders(["b"]))
        _ = second.append([65])
        second.abort()
        let replies: [Reply] = await withCheckedContinuation { going in first.commit { going.resume(returning: $0) } }
        #expect(replies.map(\.summary) == ["250 2.0.0 0 commit 0"])
        #expect(started.line(within: 0) == "")
    }
}
