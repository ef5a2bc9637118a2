// Owns: a thread that waits at the spool's trigger and wakes the runner. Refuses: looking at mail.

import QueueKit
import Synchronization

final class TriggerWatch: Sendable {
    private let stopped = Mutex(false)

    init(_ layout: SpoolLayout, _ inbox: RunnerInbox) throws(QueueError) {
        let reader = try TriggerReader(layout)
        _ = try Thread("trigger") { [weak self] in
            while let watch = self, !watch.stopped.withLock({ $0 }) {
                if reader.wait(milliseconds: 500) { inbox.post(.wake) }
            }
        }
    }

    func stop() { stopped.withLock { $0 = true } }
}
