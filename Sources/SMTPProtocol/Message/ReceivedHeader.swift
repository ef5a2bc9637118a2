// Owns: Received lines of the listener, and counting them. Refuses: the Received line of a submission
// (SubmissionHeader), how many are too many.

import MailModel

/// The trace line that a server puts above a message (RFC 5321 §4.4).
///
///     Received: from client.example ([192.0.2.1])
///     	by mx.example (Pouch) with ESMTP
///     	id 0123456789abcdefghij for <user@example.com>;
///     	Sun, 22 Nov 2026 10:00:00 +0000
public struct ReceivedHeader: Hashable, Sendable {
    public enum Transmission: String, Hashable, Sendable {
        case smtp = "SMTP", esmtp = "ESMTP", lmtp = "LMTP"
        /// RFC 6531 §4.3.
        case utf8smtp = "UTF8SMTP", utf8lmtp = "UTF8LMTP"
    }

    /// What the peer said in HELO, EHLO or LHLO; hostile.
    public var helo: String
    /// `SessionOrigin.clientAddress`: an address as text, or `local`.
    public var clientAddress: String
    public var hostname: String
    public var transmission: Transmission
    public var queueID: QueueID
    /// Told only when there is exactly one, or a blind recipient would be shown to others (RFC 5321 §7.6).
    public var recipients: [Mailbox]
    public var time: Timestamp
    public var offsetMinutes: Int

    public init(
        helo: String, clientAddress: String, hostname: String, transmission: Transmission, queueID: QueueID,
        recipients: [Mailbox], time: Timestamp, offsetMinutes: Int = 0
    ) {
        self.helo = helo
        self.clientAddress = clientAddress
        self.hostname = hostname
        self.transmission = transmission
        self.queueID = queueID
        self.recipients = recipients
        self.time = time
        self.offsetMinutes = offsetMinutes
    }

    /// The field with its CRLF.
    public var bytes: [UInt8] {
        var text = "Received: from \(Self.name(helo)) (\(Self.address(clientAddress)))\r\n"
        text += "\tby \(HeaderText.domain(hostname)) (Pouch) with \(transmission.rawValue)\r\n\tid \(queueID)"
        if recipients.count == 1 { text += "\r\n\tfor <\(recipients[0])>" }
        text += ";\r\n\t\(MailDate.text(time, offsetMinutes: offsetMinutes))\r\n"
        return Array(text.utf8)
    }

    /// RFC 5321 §6.3 takes a count of Received lines for the surest sign of a loop. Reads to the end of the header.
    public static func count(in header: some Collection<UInt8>) -> Int {
        HeaderScanner(scanning: header).fields.count { $0.isNamed("Received") }
    }

    /// As a domain or an address literal has it; any other octet becomes `?`, which an atom may hold. At most 255.
    private static func name(_ helo: String) -> String {
        let octets = helo.utf8.prefix(Mailbox.domainLimit).map { octet -> UInt8 in
            switch octet {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                octet
            default: "-._:[]".utf8.contains(octet) ? octet : UInt8(ascii: "?")
            }
        }
        return octets.isEmpty ? "unknown" : String(decoding: octets, as: UTF8.self)
    }

    /// RFC 5321 §4.1.3: an address literal; other text, such as `local`, is a comment as it stands.
    private static func address(_ text: String) -> String {
        guard text.utf8.allSatisfy({ $0 == 46 || $0 == 58 || (48...57).contains($0) || isHexLetter($0) }),
            text.utf8.contains(46) || text.utf8.contains(58)
        else { return name(text) }
        return text.utf8.contains(58) ? "[IPv6:\(text)]" : "[\(text)]"
    }

    private static func isHexLetter(_ octet: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(octet | 32)
    }
}
