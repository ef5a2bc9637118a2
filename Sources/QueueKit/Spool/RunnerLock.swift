// Owns: the lock that makes one process the runner of a spool. Refuses: running anything.

import Glibc
import SystemPackage

/// flock(2) on the spool's directory itself, which only its owner can open. It goes with the process, however that
/// ends.
struct RunnerLock {
    private let directory: OpenFile

    /// - Throws: QueueError `.locked` when another process is the runner.
    init(_ layout: SpoolLayout, syscalls: any Syscalls) throws(QueueError) {
        directory = try OpenFile(directory: layout.root, syscalls: syscalls)
        guard try directory.tryLock() else {
            throw QueueError(
                .locked, "become the runner of \(layout.root)",
                explanation: "another process is its runner (mail-relay or mail-queue). Wait for it, or ask it.")
        }
    }

    /// Lets another process be the runner; a failure means that the lock goes with this process.
    func release() { try? directory.unlock() }
}
