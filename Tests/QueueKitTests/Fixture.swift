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

/// How the tests of the spool write their segments: as `POUCH_TEST_QUEUE` says, `plain`, `sealed`, `compressed` or
/// `sealed-compressed`. The same tests hold for all of them; `make test` runs them plain, and sealed and compressed.
enum TestProtection {
    static let kind = getenv("POUCH_TEST_QUEUE").map { String(cString: $0) } ?? "plain"
    static var isPlain: Bool { kind == "plain" }
    private static let fixture = kind.contains("sealed") ? try? SealFixture() : nil
    static var keys: KeyRing? { fixture?.ring }

    static func of(_ role: SegmentRole) throws -> Protection {
        Protection(sealer: try fixture?.sealer(role), compressing: kind.contains("compressed"))
    }
}

extension QueueOptions {
    /// As the tests' queue is to be.
    mutating func protect() throws { (protection, keys) = (try TestProtection.of(.runner), TestProtection.keys) }
}

/// A listener's intake, protected as the tests' queue is to be.
func listenerIntake(_ layout: SpoolLayout, syscalls: any Syscalls = FaultySyscalls()) throws -> Intake {
    try Intake(layout, place: .incoming, protection: try TestProtection.of(.listener), syscalls: syscalls)
}

extension SegmentStore {
    func create(_ role: SegmentRole, number: UInt64) throws -> SegmentWriter {
        try create(role: role, run: .random(16), number: number, try TestProtection.of(role))
    }
}

extension SegmentReader {
    init(_ file: OpenFile, in place: SpoolLayout.Place = .incoming) throws {
        try self.init(file, in: place, keys: TestProtection.keys)
    }
}

extension JournalFormat {
    static func frame(_ entries: [JournalEntry], number: UInt64, id: [UInt8]) -> [UInt8] {
        frame(payload(entries), number: number, id: id)
    }

    static func read(_ bytes: [UInt8]) throws -> Contents? {
        try JournalReader.read(bytes, keys: TestProtection.keys)
    }
}

extension JournalWriter {
    static func read(_ name: String, in directory: Directory) throws -> JournalFormat.Contents?? {
        try read(name, in: directory, keys: TestProtection.keys)
    }
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

extension OpenFile {
    /// Changes one bit, whatever stands there.
    func flip(at offset: Int64) throws { try write([(try read(1, at: offset).first ?? 0) ^ 1], at: offset) }
}

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
