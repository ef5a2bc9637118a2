// Owns: all that is known about a message besides its content. Refuses: how it is stored (QueueKit), what becomes of
// each recipient (DeliveryStatus).

/// What RFC 6152 calls BODY.
public enum BodyKind: UInt8, Hashable, Sendable {
    case sevenBit = 0
    case eightBitMIME = 1
}

/// RET of RFC 3461 §4.3: how much of the message a failure DSN returns.
public enum ReturnContent: UInt8, Hashable, Sendable {
    case headers = 0
    case full = 1
}

/// How a message came to us; rules match on it and Received lines and logs tell it.
public enum Origin: Hashable, Sendable {
    /// Through mail-enqueue, by this uid. The runner sets the uid from the owner of the drop, never from its text.
    case submission(uid: UInt32)
    /// Over SMTP or LMTP.
    case session(SessionOrigin)
    /// A DSN of our own about the message named.
    case notification(about: QueueID)
}

public struct SessionOrigin: Hashable, Sendable {
    /// The peer's address without port, as text (`192.0.2.1`, `2001:db8::1`); `local` for a Unix socket or a pipe.
    public var clientAddress: String
    public var clientPort: UInt16
    /// What the peer said in HELO or EHLO; hostile text, at most 255 octets.
    public var helo: String
    /// `tag` of the listener, when it has one.
    public var tag: String?
    /// The authenticated user, when there is one.
    public var user: String?
    /// Whether TLS protected the session.
    public var tls: Bool

    public init(
        clientAddress: String, clientPort: UInt16 = 0, helo: String = "", tag: String? = nil, user: String? = nil,
        tls: Bool = false
    ) {
        self.clientAddress = clientAddress
        self.clientPort = clientPort
        self.helo = helo
        self.tag = tag
        self.user = user
        self.tls = tls
    }
}

public struct Envelope: Hashable, Sendable {
    public var id: QueueID
    public var arrival: Timestamp
    public var reversePath: ReversePath
    /// Numbered from 0 in the order given; a recipient's number never changes.
    public var recipients: [Recipient]
    public var origin: Origin
    public var body: BodyKind
    /// Whether the message needs SMTPUTF8 (RFC 6531).
    public var smtpUTF8: Bool
    public var returnContent: ReturnContent?
    /// ENVID of RFC 3461 §4.4, xtext already decoded.
    public var envelopeID: String?
    /// Held from its arrival (`mail-enqueue --hold`).
    public var held: Bool

    public init(
        id: QueueID, arrival: Timestamp, reversePath: ReversePath, recipients: [Recipient], origin: Origin,
        body: BodyKind = .sevenBit, smtpUTF8: Bool = false, returnContent: ReturnContent? = nil,
        envelopeID: String? = nil, held: Bool = false
    ) {
        self.id = id
        self.arrival = arrival
        self.reversePath = reversePath
        self.recipients = recipients
        self.origin = origin
        self.body = body
        self.smtpUTF8 = smtpUTF8
        self.returnContent = returnContent
        self.envelopeID = envelopeID
        self.held = held
    }
}
