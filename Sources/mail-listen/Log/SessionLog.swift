// Owns: the log lines of sessions, in OpenSMTPD's forms. Refuses: writing them (LogBuffer).

import CommandKit
import Logging
import MailModel
import SMTPProtocol
import Transport

/// Each line begins with the sixteen digits of its session. `host` is always `<unknown>`, OpenSMTPD's word for a client
/// without a name: names are not looked up.
struct SessionLog: Sendable {
    private let buffer: LogBuffer
    private let logger: Logger

    init(_ buffer: LogBuffer) { (self.buffer, logger) = (buffer, buffer.logger) }

    func connected(_ session: SessionFacts) {
        logger.info("\(session.sessionName) smtp connected address=\(session.clientAddress) host=<unknown>")
    }

    /// The message and a line for each recipient; `evpid` is the queue ID and the recipient's number.
    func stored(_ mail: StoredMail) {
        let start = Array("\(mail.session.sessionName) smtp ".utf8)
        let envelope = mail.envelope
        let id = Array(envelope.id.description.utf8)
        buffer.add { line in
            line += start
            line += "message id=".utf8
            line += id
            line += " size=\(mail.size) nrcpt=\(envelope.recipients.count)".utf8
            line += mail.session.esmtp ? " proto=ESMTP".utf8 : " proto=SMTP".utf8
        }
        for (number, recipient) in envelope.recipients.enumerated() {
            buffer.add { line in
                line += start
                line += "envelope evpid=".utf8
                line += id
                line += ".\(number) from=<".utf8
                line += envelope.reversePath.description.utf8
                line += "> to=<".utf8
                line += recipient.forwardPath.description.utf8
                line += ">".utf8
            }
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
