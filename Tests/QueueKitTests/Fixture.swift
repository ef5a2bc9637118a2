// A spool in a temporary folder, and messages to put into it.

import Glibc
import MailModel

@testable import QueueKit

/// Goes when the last reference goes.
final class TemporarySpool: Sendable {
    let layout: SpoolLayout

    init() throws {
        let path = "/tmp/pouch-test.\(QueueID.make(SystemClock()))"
        guard mkdir(path, 0o755) == 0 else { throw QueueError(.system, "make a temporary folder") }
        layout = SpoolLayout(root: "\(path)/spool")
        // Nothing of a test need reach the disk.
        try layout.create(owners: .caller, syscalls: FaultySyscalls())
    }

    deinit { Self.removeTree(String(layout.root.dropLast("/spool".count))) }

    /// Not by another process: while it starts it would hold copies of all descriptors, locks included.
    private static func removeTree(_ path: String) {
        if let directory = try? Directory(path, syscalls: LibC()) {
            for name in (try? directory.names()) ?? [] { removeTree("\(path)/\(name)") }
        }
        _ = remove(path)
    }

    func directory(_ place: SpoolLayout.Place) throws -> Directory {
        try Directory(layout.path(place), syscalls: LibC())
    }

    func names(_ place: SpoolLayout.Place) throws -> [String] { try directory(place).names().sorted() }
}

/// Clocks that stand where they are put.
final class FixedClock: TimeSource {
    private let state = Monitor((wall: Int64(1_800_000_000_000), monotonic: Int64(1_000_000)))
    func now() -> Timestamp { Timestamp(milliseconds: state.access { $0.wall }) }
    func monotonic() -> Int64 { state.access { $0.monotonic } }
    func advance(_ duration: Duration) {
        state.access { $0 = ($0.wall + duration.milliseconds, $0.monotonic + duration.milliseconds) }
    }
    func stepWall(_ duration: Duration) { state.access { $0.wall += duration.milliseconds } }
}

func mailbox(_ text: String) -> Mailbox {
    guard let mailbox = Mailbox(text) else { preconditionFailure("not a mailbox: \(text)") }
    return mailbox
}

func envelope(to recipients: [String] = ["bob@example.org"], id: QueueID = .make(SystemClock())) -> Envelope {
    Envelope(
        id: id, arrival: SystemClock().now(), reversePath: .mailbox(mailbox("alice@example.org")),
        recipients: recipients.map { Recipient(mailbox($0)) }, origin: .submission(uid: 1000))
}

func text(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(33 + $0 % 90) } }

extension MessageContent {
    func all() throws -> [UInt8] {
        var result: [UInt8] = []
        while let piece = try next() { result += piece }
        return result
    }
}

extension Intake {
    /// Stores a message and waits until it is durable.
    func store(_ envelope: Envelope, _ content: [UInt8]) throws -> Placement {
        let done = Monitor<Result<Placement, QueueError>?>(nil)
        let message = begin(StoredEnvelope(envelope))
        for start in stride(from: 0, to: content.count, by: 10_000) {
            _ = message.append(Array(content[start..<min(start + 10_000, content.count)]))
        }
        message.commitPlaced { result in done.update { $0 = result } }
        guard let result = done.wait(limit: 20_000, until: { $0 }) else { throw QueueError(.system, "wait") }
        return try result.get()
    }
}
