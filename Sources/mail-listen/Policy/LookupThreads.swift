// Owns: the threads that lookups block. Refuses: lookups.

import QueueKit

/// File tables are read again when they change, and the system's users may live behind a network: neither may hold up
/// the event loop. A session asks one thing at a time, so no more waits here than there are sessions.
struct LookupThreads: Sendable {
    /// A directory service that hangs holds up its share of the sessions, not all.
    private static let count = 4

    private let queues: [WorkQueue]

    init() throws(QueueError) {
        var queues: [WorkQueue] = []
        for number in 0..<Self.count { queues.append(try WorkQueue("lookup \(number)")) }
        self.queues = queues
    }

    func run(for session: UInt64, _ job: @escaping @Sendable () -> Void) {
        queues[Int(session % UInt64(queues.count))].run(job)
    }
}
