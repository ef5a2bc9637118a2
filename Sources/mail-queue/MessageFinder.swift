// Owns: the one message that a prefix of a queue ID names, read from the spool. Refuses: changing anything.

import CommandKit
import MailModel
import QueueKit

struct FoundMessage {
    let message: MessageSummary
    let snapshot: QueueSnapshot

    /// - Throws: 65 when no message or several begin like this; what could not be read is told before.
    init(_ prefix: String, in spool: Spool) throws {
        let snapshot = try spool.snapshot(prefix: prefix)
        let found = snapshot.messages
        guard let first = found.first else {
            for problem in snapshot.problems { Diagnostic.print(problem.description) }
            guard snapshot.hidden.isEmpty else { throw Self.unknown(prefix, snapshot.hidden.explanation) }
            throw Self.unknown(
                prefix, "no message in the queue has this queue ID. `mail-queue list` shows those there are.")
        }
        guard found.count == 1 else {
            throw Self.unknown(prefix, "\(found.count) messages begin like this. Give more of the queue ID.")
        }
        (message, self.snapshot) = (first, snapshot)
    }

    private static func unknown(_ prefix: String, _ why: String) -> CommandFailure {
        CommandFailure(QueueError(.unknownMessage, "find message \(prefix)", explanation: why))
    }
}
