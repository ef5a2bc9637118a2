// Owns: the log lines of sessions, in OpenSMTPD's forms. Refuses: writing them (LogBuffer).

import CommandKit
import Logging
import MailModel
import SMTPProtocol
import Transport

/// Each line begins with the sixteen digits of its session. `host` is always `<unknown>`, OpenSMTPD's word for a client
/// without a name: names are not looked up.
struct SessionLog: Sendable {
    private let logger: Logger

    init(_ logger: Logger) { self.logger = logger }

    func connected(_ session: SessionFacts) {
        logger.info("\(session.sessionName) smtp connected address=\(session.clientAddress) host=<unknown>")
    }

    /// The message and a line for each recipient; `evpid` is the queue ID and the recipient's number.
    func stored(_ mail: StoredMail) {
        for line in Self.lines(mail) { logger.info("\(line)") }
    }

    static func lines(_ mail: StoredMail) -> [String] {
        let (name, id) = (mail.session.sessionName, mail.envelope.id.description)
        let recipients = mail.envelope.recipients
        let from = mail.envelope.reversePath.description
        let first =
            "\(name) smtp message id=\(id) size=\(mail.size) nrcpt=\(recipients.count)"
            + " proto=\(mail.session.esmtp ? "ESMTP" : "SMTP")"
        return [first]
            + recipients.enumerated().map { number, recipient in
                "\(name) smtp envelope evpid=\(id).\(number) from=<\(from)> to=<\(recipient.forwardPath)>"
            }
    }

    func refused(command: String, _ reply: Reply, _ session: SessionFacts) {
        let (command, result) = (EscapedText.quoted(command), EscapedText.quoted(reply.summary))
        logger.info("\(session.sessionName) smtp failed-command command=\(command) result=\(result)")
    }

    /// Something here is not as it should be; the sender was told as little as possible.
    func trouble(_ sentence: String, _ recipient: Mailbox, _ session: SessionFacts) {
        logger.warning("\(session.sessionName) cannot judge recipient=<\(recipient)>: \(sentence)")
    }

    func disconnected(_ session: SessionFacts, reason: String) {
        logger.info("\(session.sessionName) smtp disconnected reason=\(reason)")
    }
}
