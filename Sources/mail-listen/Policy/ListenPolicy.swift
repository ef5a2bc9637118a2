// Owns: the answers to a server's questions: who may send, to whom, and where the content goes. Refuses: deciding by
// itself (RecipientJudge), storing (MailStore), the words of the log (SessionLog).

import CommandKit
import MailModel
import QueueKit
import Routing
import SMTPProtocol
import Transport

/// Called on the event loop; whatever may block goes to `threads`.
struct ListenPolicy: ServerPolicy {
    private let judge: RecipientJudge
    private let threads: LookupThreads
    private let names: ClientNames
    private let actions = ChosenActions()
    private let store: MailStore
    private let log: SessionLog
    /// Of each listener in order.
    private let tags: [String?]
    private let hostnames: [String]

    init(
        setting: Setting, endpoints: [(options: ServerConfiguration, tag: String?)], store: MailStore, log: LogBuffer
    ) throws(CommandFailure) {
        judge = RecipientJudge(setting.router)
        names = ClientNames(setting.configuration)
        (tags, hostnames) = (endpoints.map(\.tag), endpoints.map(\.options.hostname))
        (self.store, self.log) = (store, SessionLog(log))
        do throws(QueueError) { threads = try LookupThreads() } catch {
            throw CommandFailure(.osError, error.description)
        }
    }

    func connected(_ session: SessionFacts) { log.connected(session) }

    /// Anybody may name a sender; SIZE and the syntax are the machine's.
    func decideSender(
        _ sender: SenderRequest, _ session: SessionFacts, answer: @escaping @Sendable (Reply?) -> Void
    ) {
        actions.begin(session.sessionID)
        answer(nil)
    }

    func decideRecipient(
        _ recipient: RecipientRequest, of sender: SenderRequest, _ session: SessionFacts,
        answer: @escaping @Sendable (Reply?) -> Void
    ) {
        let mailbox = recipient.recipient.forwardPath
        let facts = MatchFacts(
            origin: .session(origin(session)), reversePath: sender.reversePath, recipient: mailbox)
        names.complete(facts) { [self] facts in
            if let verdict = judge.verdictFromMemory(facts) { return answer(told(verdict, mailbox, session)) }
            judge.inquire(facts, on: { threads.run(for: session.sessionID, $0) }) { verdict in
                answer(told(verdict, mailbox, session))
            }
        }
    }

    func beginMessage(_ transaction: Transaction, _ session: SessionFacts) -> any MessageReceiver {
        let sender = transaction.sender
        let chosen = actions.take(session.sessionID)
        let recipients = transaction.recipients.map { request in
            var recipient = request.recipient
            recipient.action = chosen[recipient.forwardPath]
            return recipient
        }
        let envelope = Envelope(
            id: store.newID(), arrival: store.now(), reversePath: sender.reversePath,
            recipients: recipients, origin: .session(origin(session)), body: sender.body,
            smtpUTF8: sender.smtpUTF8, returnContent: sender.returnContent, envelopeID: sender.envelopeID)
        return IncomingMail(
            envelope, trace: trace(envelope, transaction.greeting, session), session: session, store: store
        ) { [log] mail, reply in
            if reply.isPositive { log.stored(mail) } else { log.refused(command: "DATA", reply, session) }
        }
    }

    func refused(command: String, reply: Reply, _ session: SessionFacts) {
        log.refused(command: command, reply, session)
    }

    func disconnected(_ session: SessionFacts, reason: String) {
        actions.take(session.sessionID)
        log.disconnected(session, reason: reason)
    }

    // MARK: Steps

    private func told(_ verdict: Verdict, _ recipient: Mailbox, _ session: SessionFacts) -> Reply? {
        if verdict.reply == nil, let action = verdict.action {
            actions.note(action, for: recipient, session.sessionID)
        }
        if let trouble = verdict.trouble { log.trouble(trouble, recipient, session) }
        return verdict.reply
    }

    private func origin(_ session: SessionFacts) -> SessionOrigin {
        SessionOrigin(
            clientAddress: session.clientAddress, clientPort: session.clientPort, helo: session.helo,
            tag: value(tags, session) ?? nil)
    }

    /// RFC 5321 §4.4. In UTC, as the log.
    private func trace(_ envelope: Envelope, _ greeting: PeerGreeting, _ session: SessionFacts) -> [UInt8] {
        ReceivedHeader(
            helo: greeting.name, clientAddress: session.clientAddress,
            hostname: value(hostnames, session) ?? "localhost", transmission: greeting.isExtended ? .esmtp : .smtp,
            queueID: envelope.id, recipients: envelope.recipients.map(\.forwardPath), time: envelope.arrival
        ).bytes
    }

    private func value<T>(_ list: [T], _ session: SessionFacts) -> T? {
        list.indices.contains(session.listenerIndex) ? list[session.listenerIndex] : nil
    }
}
