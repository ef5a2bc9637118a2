// Owns: what goes into a ClientMachine and what comes out. Refuses: behaviour; the machine has it.

import MailModel

public enum ClientEvent: Sendable {
    /// The connection stands; the server's greeting is awaited.
    case opened
    case received([UInt8])
    /// Starts a transaction; only after `.ready`.
    case deliver(OutgoingMail)
    /// Answers `.sendContent`: all content was handed to the connection, dot-stuffed, its last line ended by CRLF, without
    /// the final dot.
    case contentSent
    /// Answers `.sendContent`: the content can't be read any more; the connection must end before the final dot.
    case contentFailed
    /// No further transaction: QUIT, now or when what is under way is over.
    case quit
    /// The time of `.setTimeout` is over. When the machine is `.ready` and waits for nothing, this makes it QUIT.
    case timedOut
    case peerClosed
}

public enum ClientAction: Hashable, Sendable {
    case send([UInt8])
    /// The greeting and EHLO (LHLO) are through, or the last transaction is over: a transaction may start.
    case ready(PeerCapabilities)
    /// 354 was read: stream the content, dot-stuffed, then say `.contentSent`; the machine sends the final dot. When the
    /// session ends first, `.finished` and `.close` come instead, perhaps in the same answer: stop streaming then.
    case sendContent
    /// The transaction is over, one result for each recipient in order. `.ready` or `.close` follows.
    case finished([RecipientResult])
    /// The session failed before any transaction could be tried: greeting, EHLO or connection refused.
    case failed(SessionFailure)
    /// How long to wait, from now on, for the next reply (RFC 5321 §4.5.3.2). It replaces the one before; bytes that
    /// arrive do not start it anew, or a peer could drip a reply for days. While content is streamed it is the time for
    /// each block: start it anew whenever the connection took some.
    case setTimeout(Duration)
    case close
}

/// One message for some of its recipients, all at the same next hop.
public struct OutgoingMail: Hashable, Sendable {
    public var reversePath: ReversePath
    public var recipients: [Recipient]
    /// XACTION for the agent: one name, or nil towards every other peer.
    public var action: String?
    /// Octets of content before dot-stuffing.
    public var size: Int
    public var body: BodyKind
    public var smtpUTF8: Bool
    public var returnContent: ReturnContent?
    public var envelopeID: String?
    /// RCPT carries local-parts alone, as some LMTP servers know their users.
    public var sendsUserNames: Bool

    public init(
        reversePath: ReversePath, recipients: [Recipient], action: String? = nil, size: Int,
        body: BodyKind = .sevenBit, smtpUTF8: Bool = false, returnContent: ReturnContent? = nil,
        envelopeID: String? = nil, sendsUserNames: Bool = false
    ) {
        self.reversePath = reversePath
        self.recipients = recipients
        self.action = action
        self.size = size
        self.body = body
        self.smtpUTF8 = smtpUTF8
        self.returnContent = returnContent
        self.envelopeID = envelopeID
        self.sendsUserNames = sendsUserNames
    }
}

/// What the peer offered in its EHLO reply.
public struct PeerCapabilities: Hashable, Sendable {
    public var pipelining = false
    public var eightBitMIME = false
    public var smtpUTF8 = false
    public var dsn = false
    public var enhancedStatusCodes = false
    public var takesAction = false
    /// SIZE: nil when not offered, 0 when without limit (RFC 1870 §4).
    public var sizeLimit: Int?
    /// The name the peer gave itself in its greeting; hostile text.
    public var name = ""

    public init() {}
}

/// What became of one recipient in one transaction.
public struct RecipientResult: Hashable, Sendable {
    public var result: AttemptResult
    /// From the reply's enhanced status code when the peer gave a valid one of the same class, else derived
    /// (RFC 3463): x.0.0, or the better known equivalent of the code.
    public var status: EnhancedStatusCode
    /// The reply on one line, printable, or our own sentence when the peer gave none.
    public var reply: String
    /// Whether `reply` is the peer's: only then may a DSN say so (RFC 3464 §2.3.6).
    public var isFromPeer: Bool

    public init(result: AttemptResult, status: EnhancedStatusCode, reply: String, isFromPeer: Bool = false) {
        self.result = result
        self.status = status
        self.reply = reply
        self.isFromPeer = isFromPeer
    }
}

/// Why a session ended before a transaction.
public struct SessionFailure: Error, Hashable, Sendable {
    /// Whether the peer refused for good (5yz in its greeting or to EHLO and HELO): another host may still take it.
    public var result: AttemptResult
    public var status: EnhancedStatusCode
    public var reply: String
    /// Whether `reply` is the peer's.
    public var isFromPeer: Bool

    public init(result: AttemptResult, status: EnhancedStatusCode, reply: String, isFromPeer: Bool = false) {
        self.result = result
        self.status = status
        self.reply = reply
        self.isFromPeer = isFromPeer
    }

    init(_ result: RecipientResult) {
        self.init(
            result: result.result, status: result.status, reply: result.reply, isFromPeer: result.isFromPeer)
    }
}

public struct ClientConfiguration: Hashable, Sendable {
    public var flavour: ServerConfiguration.Flavour = .smtp
    /// The name for EHLO: `helo NAME`, or the host's.
    public var helo: String

    public init(helo: String) { self.helo = helo }
}
