// Owns: getting a new key into the running programs, and waiting until the queue is sealed for it; with no runner at work,
// being the runner for that long. Refuses: attempts at delivery.

import CommandKit
import Glibc
import KeyKit
import QueueKit

struct RekeyProgress {
    /// Without a file fewer for this long, somebody must be told what stands in the way.
    private static let stallLimit = Duration.seconds(60)
    private static let pause: UInt32 = 100_000

    let spool: Spool
    let id: KeyID

    func run() throws {
        let pid = ServicePID.holder(spool.layout.supervisorPID, program: "mail-supervise")
        if let pid {
            guard spool.configuration.queueEncryption?.key?.isReadableAgain ?? true else {
                throw CommandFailure(
                    .temporaryFailure,
                    "mail-supervise (pid \(pid)) can't read the passphrase again by itself. Restart it, then run "
                        + "mail-queue rekey again.")
            }
            guard kill(pid, SIGHUP) == 0 else {
                throw CommandFailure(
                    .noPermission,
                    "cannot tell mail-supervise (pid \(pid)) to take the new key: run this as root, or as who started it."
                )
            }
            try StandardOutput.write("told mail-supervise (pid \(pid)) to take the new key up\n")
        }
        guard try left() > 0 else { return }
        // In this process the old keys are known to the spool already; the new one is read anew.
        let queue = try pid == nil ? OwnRunner.start(Spool(configuration: spool.configuration)) : nil
        guard pid != nil || queue != nil else {
            throw CommandFailure(
                .temporaryFailure,
                "mail-relay is at work without mail-supervise. Hand it and mail-listen the new parts of the key, start "
                    + "both again, then run mail-queue rekey again.")
        }
        defer { queue?.close() }
        try wait(queue)
    }

    private func wait(_ queue: Queue?) throws {
        let isTerminal = isatty(STDERR_FILENO) == 1
        var (fewest, progress) = (try left(), ContinuousClock.now)
        let whole = fewest
        while fewest > 0 {
            queue?.collect()
            usleep(Self.pause)
            let now = try left()
            if now < fewest { (fewest, progress) = (now, .now) }
            if isTerminal { Diagnostic.progress("sealing anew: \(whole - fewest) of \(whole) files done") }
            guard ContinuousClock.now - progress < Self.stallLimit else { throw stalled(fewest) }
        }
        if isTerminal { Diagnostic.endProgress() }
    }

    private func left() throws(CommandFailure) -> Int {
        try queueCall { () throws(QueueError) in try KeyUse(spool.layout).others(than: id) }
    }

    private func stalled(_ left: Int) -> CommandFailure {
        CommandFailure(
            .temporaryFailure,
            "\(left) files of the queue are not sealed for the key \(id) yet: their mail may be under way, damaged, or sealed "
                + "for a key that is not known. See mail-queue check and the log, then run mail-queue rekey again.")
    }
}
