// Owns: waiting, with a limit, for what another thread will say about an order. Refuses: what it says.

import Glibc
import Synchronization

/// One answer on its way from the thread that works on the queue to one that waits.
///
/// ```swift
/// let (answer, giver) = try Answer<QueueError?>.make()
/// queue.whenDurable { giver.give($0) }
/// let failure = try answer.wait(within: .seconds(60))
/// ```
public final class Answer<Value: Sendable>: Sendable {
    /// The end the answer comes in at. When it goes away without an answer, whoever waits learns that at once.
    public final class Giver: Sendable {
        private let answer: Answer
        private let descriptor: Int32

        fileprivate init(_ answer: Answer, _ descriptor: Int32) {
            (self.answer, self.descriptor) = (answer, descriptor)
        }

        deinit { close(descriptor) }

        /// The first answer counts.
        public func give(_ value: Value) {
            let isFirst = answer.value.withLock { held in
                guard held == nil else { return false }
                held = value
                return true
            }
            guard isFirst else { return }
            // Whoever waits sees the end of the stream, which needs no room in any buffer.
            shutdown(descriptor, Int32(SHUT_WR))
        }
    }

    private let value = Mutex<Value?>(nil)
    /// Readable once there is an answer, or nobody left to give one.
    let descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    public static func make() throws(CommandFailure) -> (answer: Answer, giver: Giver) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw CommandFailure(.osError, "make a pair of sockets", .last)
        }
        let answer = Answer(ends[0])
        return (answer, Giver(answer, ends[1]))
    }

    /// - Throws: 75 when the time is over, 70 when nobody is left who could answer.
    public func wait(within limit: Duration) throws(CommandFailure) -> Value {
        guard try Wait.until(descriptor, Int16(POLLIN), deadline: .now + limit) else {
            throw CommandFailure(
                .temporaryFailure,
                "the order was not carried out within \(limit); it may be later. See mail-queue list.")
        }
        guard let value = value.withLock({ $0 }) else {
            throw CommandFailure(
                .software, "internal fault: the order was dropped without an answer. Please report it.")
        }
        return value
    }
}
