// Owns: delivery status notifications as messages (RFC 3464 in multipart/report of RFC 6522). Refuses: deciding whether
// one is due and to whom (the runner, RFC 3461 §5), storing it.

import MailModel

/// What a DSN tells of one recipient.
public struct DSNRecipient: Hashable, Sendable {
    /// RFC 3464 §2.3.3.
    public enum Action: String, Hashable, Sendable, CaseIterable { case failed, delayed, delivered, relayed, expanded }

    public var finalRecipient: Mailbox
    /// ORCPT as `type;address`, decoded; hostile.
    public var originalRecipient: String?
    public var action: Action
    public var status: EnhancedStatusCode
    /// The peer's reply when `peerSpoke`, else our own sentence; hostile.
    public var reply: String
    /// Whether `reply` is a peer's: only then is it a Diagnostic-Code (§2.3.6).
    public var peerSpoke: Bool
    /// The host that was spoken to, without address; nil when none was.
    public var remoteMTA: String?
    public var lastAttempt: Timestamp?
    /// Until when it is tried again; for `delayed`.
    public var willRetryUntil: Timestamp?

    public init(
        finalRecipient: Mailbox, originalRecipient: String? = nil, action: Action, status: EnhancedStatusCode,
        reply: String, peerSpoke: Bool, remoteMTA: String? = nil, lastAttempt: Timestamp? = nil,
        willRetryUntil: Timestamp? = nil
    ) {
        self.finalRecipient = finalRecipient
        self.originalRecipient = originalRecipient
        self.action = action
        self.status = status
        self.reply = reply
        self.peerSpoke = peerSpoke
        self.remoteMTA = remoteMTA
        self.lastAttempt = lastAttempt
        self.willRetryUntil = willRetryUntil
    }
}

/// A DSN; `bytes` is the whole message, its lines ended by CRLF. It goes out with the null reverse-path.
public struct DSNMessage: Hashable, Sendable {
    /// What of the message is sent back (RET of RFC 3461 §4.3).
    public enum Returned: Hashable, Sendable {
        /// The header as it was stored; cut at 64 KiB, its lines at 998 octets.
        case headers([UInt8])
        /// The whole message, its lines ended by CRLF.
        case full([UInt8])
    }

    public var reportingMTA: String
    /// Whom it goes to: the reverse-path of the message.
    public var recipient: Mailbox
    public var recipients: [DSNRecipient]
    /// ENVID, decoded; hostile.
    public var envelopeID: String?
    public var arrival: Timestamp
    public var returned: Returned
    public var now: Timestamp
    public var offsetMinutes: Int
    /// Random; letters and digits are used, up to 60. It names the message and its boundary, so that nobody who wrote
    /// the message could know the boundary: take 60 bits at least.
    public var token: String

    public init(
        reportingMTA: String, recipient: Mailbox, recipients: [DSNRecipient], envelopeID: String? = nil,
        arrival: Timestamp, returned: Returned, now: Timestamp, offsetMinutes: Int = 0, token: String
    ) {
        self.reportingMTA = reportingMTA
        self.recipient = recipient
        self.recipients = recipients
        self.envelopeID = envelopeID
        self.arrival = arrival
        self.returned = returned
        self.now = now
        self.offsetMinutes = offsetMinutes
        self.token = token
    }

    /// For the envelope: whether BODY=8BITMIME is needed. The parts of ours are ASCII; what is returned may not be.
    public var body: BodyKind { returnedPart.isEightBit ? .eightBitMIME : .sevenBit }

    /// For the envelope: whether SMTPUTF8 is needed, because the To field is not ASCII (RFC 6531).
    public var needsSMTPUTF8: Bool { !recipient.isASCII }

    public var bytes: [UInt8] {
        let part = returnedPart
        var out = Array(header(isEightBit: part.isEightBit).utf8)
        out += "--\(boundary)\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\(explanation)\r\n".utf8
        out += "--\(boundary)\r\nContent-Type: message/delivery-status\r\n\r\n\(deliveryStatus)\r\n".utf8
        out += "--\(boundary)\r\n\(part.header)\r\n".utf8
        out += part.bytes
        if !out.suffix(2).elementsEqual([13, 10]) { out += [13, 10] }
        out += "\r\n--\(boundary)--\r\n".utf8
        return out
    }

    // MARK: Header

    private var host: String { HeaderText.domain(reportingMTA) }
    private var boundary: String { "pouch.\(HeaderText.token(token))" }

    /// RFC 3464 §2: to the reverse-path, from an address that is read; RFC 3834 §5: Auto-Submitted.
    private func header(isEightBit: Bool) -> String {
        "From: Mail Delivery System <MAILER-DAEMON@\(host)>\r\nTo: <\(recipient)>\r\nSubject: \(subject)\r\n"
            + "Date: \(MailDate.text(now, offsetMinutes: offsetMinutes))\r\n"
            + "Message-ID: <\(HeaderText.token(token))@\(host)>\r\nAuto-Submitted: auto-replied\r\n"
            + "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n"
            + "\tboundary=\"\(boundary)\"\r\nContent-Transfer-Encoding: \(isEightBit ? "8bit" : "7bit")\r\n\r\n"
            + "This is a report of delivery in MIME form.\r\n\r\n"
    }

    private var subject: String {
        if recipients.contains(where: { $0.action == .failed }) { return "Your message could not be delivered" }
        if recipients.contains(where: { $0.action == .delayed }) { return "Your message is delayed" }
        return "Your message was delivered"
    }

    // MARK: The part for people

    private var explanation: String {
        var text = "This is the mail system of \(host).\r\n"
        for action in DSNRecipient.Action.allCases {
            let concerned = recipients.filter { $0.action == action }
            guard !concerned.isEmpty else { continue }
            text += "\r\n\(Self.sentences(for: action))\r\n"
            for recipient in concerned { text += story(of: recipient) }
        }
        let what =
            switch returned {
            case .headers: "the header of your message"
            case .full: "your message"
            }
        return text + "\r\nThe second part of this report is meant for programs; the third is\r\n\(what).\r\n"
    }

    private static func sentences(for action: DSNRecipient.Action) -> String {
        switch action {
        case .failed:
            "Your message could not be delivered to the recipients below. It will not be\r\ntried again: to reach them,"
                + " send it anew once the cause is gone."
        case .delayed:
            "Your message could not yet be delivered to the recipients below. It is tried\r\nagain; you need not send it"
                + " anew."
        case .delivered: "Your message was delivered to the recipients below."
        case .relayed:
            "Your message was passed on for the recipients below, to a system that sends no\r\nreports of delivery."
        case .expanded: "Your message was passed on to the members of the lists below."
        }
    }

    private func story(of recipient: DSNRecipient) -> String {
        var text = "\r\n  <\(Self.printable(recipient.finalRecipient))>\r\n"
        let reply = PeerText.printable(recipient.reply)
        if !reply.isEmpty {
            let speaker = recipient.remoteMTA.map { PeerText.printable($0, limit: 255) } ?? "The other side"
            let told = recipient.peerSpoke ? "\(speaker) said: \(reply)" : reply
            text += HeaderText.wrapped(told, width: 72).map { "    \($0)\r\n" }.joined()
        }
        if let time = recipient.willRetryUntil { text += "    It is tried again until \(date(time)).\r\n" }
        return text
    }

    // MARK: The part for programs

    private var deliveryStatus: String {
        var text = "Reporting-MTA: dns; \(host)\r\n"
        if let envelopeID, !envelopeID.isEmpty {
            text += HeaderText.field("Original-Envelope-Id", PeerText.printable(envelopeID, limit: 400))
        }
        text += "Arrival-Date: \(date(arrival))\r\n"
        return text + recipients.map { "\r\n" + group(for: $0) }.joined()
    }

    private func group(for recipient: DSNRecipient) -> String {
        var text = ""
        if let original = recipient.originalRecipient {
            let type = original.utf8.prefix { HeaderText.isAtom($0) && $0 < 128 }
            let address = original.utf8.dropFirst(type.count + 1)
            if !type.isEmpty, !address.isEmpty {
                let kind = PeerText.printable(type, limit: 60)
                text += HeaderText.field("Original-Recipient", "\(kind); \(PeerText.printable(address))")
            }
        }
        let kind = recipient.finalRecipient.isASCII ? "rfc822" : "utf-8"
        text += HeaderText.field("Final-Recipient", "\(kind); \(Self.printable(recipient.finalRecipient))")
        text += "Action: \(recipient.action.rawValue)\r\nStatus: \(recipient.status)\r\n"
        if let host = recipient.remoteMTA, !host.isEmpty {
            text += HeaderText.field("Remote-MTA", "dns; \(PeerText.printable(host, limit: 255))")
        }
        if recipient.peerSpoke, !recipient.reply.isEmpty {
            text += HeaderText.field("Diagnostic-Code", "smtp; \(PeerText.printable(recipient.reply))")
        }
        if let time = recipient.lastAttempt { text += "Last-Attempt-Date: \(date(time))\r\n" }
        if let time = recipient.willRetryUntil { text += "Will-Retry-Until: \(date(time))\r\n" }
        return text
    }

    private func date(_ time: Timestamp) -> String { MailDate.text(time, offsetMinutes: offsetMinutes) }

    /// RFC 6533 §3 utf-8-addr-xtext, the form that message/delivery-status may hold: what is not printable ASCII becomes
    /// `\x{HEX}`, and then so do space, `+`, `=` and backslash.
    private static func printable(_ mailbox: Mailbox) -> String {
        if mailbox.isASCII { return PeerText.printable(mailbox.description) }
        return mailbox.description.unicodeScalars.map { scalar in
            (33...126).contains(scalar.value) && !"+=\\".unicodeScalars.contains(scalar)
                ? String(scalar) : "\\x{" + String(scalar.value, radix: 16, uppercase: true) + "}"
        }.joined()
    }

    // MARK: The part that returns the message

    private var returnedPart: (header: String, bytes: [UInt8], isEightBit: Bool) {
        switch returned {
        case .headers(let header):
            let kept = Self.bounded(header)
            let isEightBit = kept.contains { $0 > 127 }
            return (Self.partHeader("text/rfc822-headers", isEightBit), kept, isEightBit)
        case .full(let message):
            let isEightBit = message.contains { $0 > 127 }
            return (Self.partHeader("message/rfc822", isEightBit), message, isEightBit)
        }
    }

    private static func partHeader(_ type: String, _ isEightBit: Bool) -> String {
        "Content-Type: \(type)\r\n" + (isEightBit ? "Content-Transfer-Encoding: 8bit\r\n" : "")
    }

    /// A header with lines of at most 998 octets and CRLF ends, at most 64 KiB. An end of the header among the bytes
    /// ends it: no body belongs here.
    private static func bounded(_ header: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        for line in header.split(separator: 10, omittingEmptySubsequences: false) {
            let text = line.filter { $0 != 13 && $0 != 0 }
            guard !text.isEmpty, out.count < HeaderScanner.defaultLimit else { break }
            out += text.prefix(HeaderText.lineLimit) + [13, 10]
        }
        return out
    }
}
