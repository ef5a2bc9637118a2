// Owns: what the agent answers: who may speak to it, which recipients it takes. Refuses: delivering (Courier), looking
// up on the network's thread (RecipientLookup runs on threads of its own).

import CommandKit
import Logging
import SMTPProtocol
import Synchronization
import Transport

final class AgentPolicy: ServerPolicy {
    /// uids that may connect.
    private let peers: Set<UInt32>
    private let lookup: RecipientLookup
    private let courier: Courier
    private let log: Logger
    /// What was decided at RCPT, by session; gone with the content, the next sender or the session.
    private let orders = Mutex<[UInt64: [RecipientRequest: DeliveryOrder]]>([:])

    init(peers: Set<UInt32>, lookup: RecipientLookup, courier: Courier, log: Logger) {
        (self.peers, self.lookup, self.courier, self.log) = (peers, lookup, courier, log)
    }

    func connected(_ session: SessionFacts) {
        guard !mayPass(session) else { return }
        log.warning(
            "\(session.sessionName) agent refused: only the queue runner may connect",
            metadata: ["uid": "\(session.peerUID.map(String.init) ?? "unknown")"])
    }

    func decideSender(_ sender: SenderRequest, _ session: SessionFacts, answer: @escaping @Sendable (Reply?) -> Void) {
        forget(session)
        guard mayPass(session) else {
            return answer(Reply(421, .init(4, 7, 1), "Only the queue runner may deliver here"))
        }
        answer(nil)
    }

    /// One thread a question: a name service may take its time, and there are no more questions than sessions.
    func decideRecipient(
        _ recipient: RecipientRequest, of sender: SenderRequest, _ session: SessionFacts,
        answer: @escaping @Sendable (Reply?) -> Void
    ) {
        do throws(CommandFailure) {
            try Thread.start { [self] in
                do throws(DeliveryFailure) {
                    let order = try lookup.order(for: recipient, from: sender.reversePath)
                    orders.withLock { $0[session.sessionID, default: [:]][recipient] = order }
                    answer(nil)
                } catch {
                    answer(error.reply)
                }
            }
        } catch {
            log.error("\(error.sentence)")
            answer(Reply(451, .init(4, 3, 2), "The machine is too busy, try again later"))
        }
    }

    func beginMessage(_ transaction: Transaction, _ session: SessionFacts) -> any MessageReceiver {
        let decided = forget(session)
        // Every recipient that was taken has its order: RCPT is answered after that was noted.
        return courier.begin(transaction.recipients.compactMap { decided[$0] })
    }

    func refused(command: String, reply: Reply, _ session: SessionFacts) {
        // Recipients are the runner's to log; a command that the agent does not know never came from a runner of ours.
        guard reply.status?.subject == 5, reply.status?.detail != 4 else { return }
        log.warning(
            "\(session.sessionName) agent refused a command: \(reply.summary)", metadata: ["command": "\(command)"])
    }

    func disconnected(_ session: SessionFacts, reason: String) { forget(session) }

    private func mayPass(_ session: SessionFacts) -> Bool { session.peerUID.map(peers.contains) ?? false }

    @discardableResult
    private func forget(_ session: SessionFacts) -> [RecipientRequest: DeliveryOrder] {
        orders.withLock { $0.removeValue(forKey: session.sessionID) } ?? [:]
    }
}
