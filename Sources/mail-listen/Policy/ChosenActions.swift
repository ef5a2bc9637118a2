// Owns: which action the rules chose for each recipient of a transaction, until the envelope has it. Refuses: choosing.

import MailModel
import Synchronization

/// By session. An answer that comes when its session is over finds nothing to note it in.
final class ChosenActions: Sendable {
    private let chosen = Mutex<[UInt64: [Mailbox: String]]>([:])

    /// A transaction begins: what an earlier one left is gone.
    func begin(_ session: UInt64) { chosen.withLock { $0[session] = [:] } }

    func note(_ action: String, for recipient: Mailbox, _ session: UInt64) {
        chosen.withLock { $0[session]?[recipient] = action }
    }

    /// What was chosen; nothing is kept.
    @discardableResult
    func take(_ session: UInt64) -> [Mailbox: String] { chosen.withLock { $0.removeValue(forKey: session) } ?? [:] }
}
