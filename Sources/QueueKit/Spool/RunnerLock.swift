// Owns: the lock that makes one process the runner of a spool. Refuses: running anything.

import Glibc
import SystemPackage

/// flock(2) on the spool's directory itself, which only its owner can open. It goes with the process, however that
/// ends.
struct RunnerLock {
    private let directory: OpenFile

    /// - Throws: QueueError `.locked` when another process is the runner; `.system` with EPERM for root or another who
    ///   can open the directory but is not its owner: journals it made could not be written by the runner after it.
    init(_ layout: SpoolLayout, syscalls: any Syscalls) throws(QueueError) {
        directory = try OpenFile(directory: layout.root, syscalls: syscalls)
        let owner = try directory.status().st_uid
        guard owner == geteuid() else {
            throw QueueError(
                .system, "become the runner of \(layout.root)", cause: .notPermitted,
                explanation:
                    "it belongs to uid \(owner), and this is uid \(geteuid()), whose files that user could not "
                    + "write later. Run as its owner: setpriv --reuid=\(owner) --regid=pouch --init-groups ...")
        }
        guard try directory.tryLock() else {
            throw QueueError(
                .locked, "become the runner of \(layout.root)",
                explanation: "another process is its runner (mail-relay or mail-queue). Wait for it, or ask it.")
        }
    }

    /// Lets another process be the runner; a failure means that the lock goes with this process.
    func release() { try? directory.unlock() }
}
