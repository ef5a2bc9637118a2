// Owns: handing messages over to the one thread that feeds the delivering processes. Refuses: that thread's work
// (CourierLoop), deciding about recipients (RecipientLookup).

import CommandKit
import Glibc
import Logging
import SMTPProtocol
import Synchronization
import SystemPackage
import Transport

/// Delivers each message to all its recipients at the same time, one process a recipient.
final class Courier: Sendable {
    struct Limits: Sendable {
        /// Processes at once. A message with more recipients than that waits until it is alone, then has them all.
        var processes = 20
        /// How long a process may take nothing of what there is for it.
        var stall: Duration = .seconds(120)
        /// How long it may take from the final word to its answer; less than the ten minutes that RFC 5321
        /// §4.5.3.2.6 gives a client.
        var sync: Duration = .seconds(300)
        /// How long it may take to end once nothing is asked of it, before it is killed.
        var leave: Duration = .seconds(10)
    }

    enum Message: Sendable {
        case begin(UInt64, [DeliveryOrder])
        case content(UInt64, Chunk)
        case commit(UInt64, @Sendable ([Reply]) -> Void)
        case abort(UInt64)
        case stop
    }

    private let inbox = Mutex<[Message]>([])
    private let counter = Atomic<UInt64>(0)
    private let bell: FileDescriptor

    /// Starts the thread.
    /// - Parameter launch: the process of a delivery; descriptors and identity are added.
    init(
        limits: Limits = Limits(), log: Logger, launch: @escaping @Sendable () -> ProcessLaunch
    ) throws(CommandFailure) {
        let (ear, bell): (FileDescriptor, FileDescriptor)
        do { (ear, bell) = try FileDescriptor.pipe() } catch {
            throw CommandFailure(.osError, "cannot make a pipe: \(error).")
        }
        for end in [ear, bell] {
            _ = fcntl(end.rawValue, F_SETFL, O_NONBLOCK)
            _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC)
        }
        self.bell = bell
        // A process that takes no more must show as EPIPE.
        Signals.ignoreBrokenPipes()
        try Thread.start { [self] in
            CourierLoop(ear: ear.rawValue, limits: limits, log: log, launch: launch) { self.takeAll() }.run()
            // Kept open until here, so that no late message rings at a number that means another file by then.
            _ = Result { try ear.close() }
        }
    }

    /// The thread holds this object as long as it runs.
    deinit { _ = Result { try bell.close() } }

    /// - Parameter orders: one for each recipient, in order; replies come in the same order.
    func begin(_ orders: [DeliveryOrder]) -> any MessageReceiver {
        let number = counter.add(1, ordering: .relaxed).newValue
        post(.begin(number, orders))
        return CourierReceiver(number, self)
    }

    /// Ends the thread when all that was begun is over.
    func stop() { post(.stop) }

    func post(_ message: Message) {
        let wasEmpty = inbox.withLock { inbox in
            inbox.append(message)
            return inbox.count == 1
        }
        guard wasEmpty else { return }
        var stroke: UInt8 = 0
        // The pipe is full only when it has rung already.
        _ = write(bell.rawValue, &stroke, 1)
    }

    private func takeAll() -> [Message] {
        inbox.withLock { inbox in
            defer { inbox = [] }
            return inbox
        }
    }
}
