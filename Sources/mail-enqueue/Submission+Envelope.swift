// Owns: what a submission's envelope says, and the facts that complete its header. Refuses: reading the message.

import Glibc
import MailModel
import QueueKit
import SMTPProtocol

extension Submission {
    /// What a relay has to know (RFC 6152 §3), and the envelope is written before the content. A message that is short
    /// enough was looked at as a whole; so its octets decide, not -B. Of a longer one the opening may be 7-bit and the
    /// rest not: unless the caller vouches for it with -B, it counts as 8-bit, which claims too much rather than
    /// sending octets to a server that did not offer to take them.
    static func body(_ input: MessageInput, _ header: SubmissionHeader, _ declared: BodyKind?) -> BodyKind {
        if input.isEightBit || header.bytes.contains(where: { $0 > 127 }) { return .eightBitMIME }
        return input.isWhole ? .sevenBit : declared ?? .eightBitMIME
    }

    func envelope(_ id: QueueID, _ now: Timestamp, _ to: [Mailbox], _ body: BodyKind) -> Envelope {
        let paths = [reversePath.mailbox].compactMap(\.self) + to
        return Envelope(
            id: id, arrival: now, reversePath: reversePath,
            recipients: to.map { Recipient($0, notify: arguments.notify) },
            origin: .submission(uid: getuid()), body: body,
            // RFC 6531: the paths alone decide. Raw 8-bit text in a header is common and passes everywhere as 8BITMIME.
            smtpUTF8: !paths.allSatisfy(\.isASCII), returnContent: arguments.returnContent,
            envelopeID: arguments.envelopeID, held: arguments.isHeld)
    }

    func facts(_ id: QueueID, _ now: Timestamp) -> SubmissionFacts {
        // From the system's generator; the queue ID stays out of what recipients see elsewhere than in Received.
        let token = (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
        return SubmissionFacts(
            sender: author, fullName: authorName, uid: getuid(), domain: settings.domain, hostname: settings.hostname,
            queueID: id, now: now, offsetMinutes: LocalTime.offsetMinutes(at: now), messageIDToken: token,
            takesRecipients: arguments.takesRecipients)
    }
}

enum LocalTime {
    /// Of this machine's time zone (or the caller's `TZ`), east of UTC.
    static func offsetMinutes(at time: Timestamp) -> Int {
        var seconds = time_t(time.seconds)
        var parts = tm()
        return localtime_r(&seconds, &parts) == nil ? 0 : parts.tm_gmtoff / 60
    }
}
