// Owns: the other side for client tests: a server that follows a script, and contents of several kinds.

import MailModel
import SMTPProtocol
import Synchronization

@testable import Transport

func mail(_ names: [String], size: Int = 100) -> OutgoingMail {
    OutgoingMail(
        reversePath: .null,
        recipients: names.compactMap { Mailbox(localPart: $0, domain: "example.test") }.map { Recipient($0) },
        size: size)
}

/// Gives pieces of lines that begin with a dot, counts what it is asked for, and fails on the way if told so.
final class LongContent: ContentSource {
    struct Broken: Error {}
    private let failsAt: Int?
    private let pieces: Int
    private let state = Mutex((asked: 0, last: ContinuousClock.now))
    static let line = Array((String(repeating: ".", count: 1022) + "\r\n").utf8)
    static let linesInPiece = 200
    static let piece = Array(repeating: line, count: linesInPiece).flatMap { $0 }

    init(pieces: Int, failsAt: Int? = nil) { (self.pieces, self.failsAt) = (pieces, failsAt) }

    var asked: Int { state.withLock { $0.asked } }
    /// Asked, and not again for a while.
    var isStill: Bool { state.withLock { $0.asked > 0 && ContinuousClock.now - $0.last > .milliseconds(300) } }

    func next() async throws -> [UInt8]? {
        let number = state.withLock { state in
            state = (state.asked + 1, .now)
            return state.asked
        }
        if number == failsAt { throw Broken() }
        return number <= pieces ? Self.piece : nil
    }
}

/// A server that follows a script for one connection, in a thread of its own.
struct ScriptedServer {
    let port: UInt16
    private let task: Task<Void, any Error>

    init(_ script: @escaping @Sendable (RawSocket) throws -> Void) throws {
        let (listener, port) = try RawSocket.listen()
        self.port = port
        task = Task { try await blocking { try script(try listener.accept()) } }
    }

    var address: PeerAddress { .internet(address: "127.0.0.1", port: port) }
    func finish() async throws { try await task.value }
}
