// Owns: what goes into a ServerMachine and what comes out. Refuses: behaviour; the machine has it.

import MailModel

/// What the machine is told. Bytes may be cut anywhere; commands may come pipelined (RFC 2920).
public enum ServerEvent: Sendable {
    /// The connection stands.
    case opened
    case received([UInt8])
    /// Answers `.decideSender`: nil accepts with the usual reply.
    case senderDecided(Reply?)
    /// Answers `.decideRecipient`: nil accepts with the usual reply.
    case recipientDecided(Reply?)
    /// Answers `.commitMessage`: one reply, or in LMTP one for each accepted recipient in order (RFC 2033 §4.2).
    case stored([Reply])
    /// The message can't be stored any more; the rest of its content is read and dropped, then this reply is given. May
    /// also answer `.commitMessage`. A reply that is no refusal is replaced by 451 4.3.0.
    case storageFailed(Reply)
    /// The peer said nothing for too long. Ignored while a message is being stored: then the peer waits for us.
    case timedOut
    /// The program is about to stop: idle sessions get 421, transactions under way finish (RFC 5321 §3.8).
    case shuttingDown
    /// The peer closed its side. Say it when reading meets the end, and don't read while `wantsInput` is false: what
    /// was received before and waits for a decision is dropped with it.
    case peerClosed
}

/// What the machine asks for, in order.
public enum ServerAction: Hashable, Sendable {
    case send([UInt8])
    /// MAIL was read and is well-formed; answer with `.senderDecided`. Nothing else is acted on until then.
    case decideSender(SenderRequest)
    /// RCPT was read and is well-formed; answer with `.recipientDecided`.
    case decideRecipient(RecipientRequest)
    /// DATA was accepted: content of this transaction follows.
    case beginMessage(Transaction)
    /// Content with its dot-stuffing removed (RFC 5321 §4.5.2), lines ending with CRLF.
    case content([UInt8])
    /// The final dot was read and the content is acceptable; answer with `.stored`.
    case commitMessage
    /// The message begun ends without a trace. Each message begun ends with this or with `.commitMessage`, never both.
    case abortMessage
    /// For the log: a command was refused. The command is printable, one line, of at most 400 characters.
    case refused(command: String, reply: Reply)
    /// Write what is unsent, then close. Always the last action of a session.
    case close
}

/// MAIL FROM with its parameters.
public struct SenderRequest: Hashable, Sendable {
    public var reversePath: ReversePath
    /// SIZE (RFC 1870), octets.
    public var size: Int?
    public var body: BodyKind
    public var smtpUTF8: Bool
    public var returnContent: ReturnContent?
    public var envelopeID: String?

    public init(
        reversePath: ReversePath, size: Int? = nil, body: BodyKind = .sevenBit, smtpUTF8: Bool = false,
        returnContent: ReturnContent? = nil, envelopeID: String? = nil
    ) {
        self.reversePath = reversePath
        self.size = size
        self.body = body
        self.smtpUTF8 = smtpUTF8
        self.returnContent = returnContent
        self.envelopeID = envelopeID
    }
}

/// RCPT TO with its parameters. `<postmaster>` without domain (RFC 5321 §4.5.1) arrives with the server's host name.
public struct RecipientRequest: Hashable, Sendable {
    public var recipient: Recipient
    /// XACTION, the name of an action: only where `ServerConfiguration.takesAction` (the agent's socket).
    public var action: String?

    public init(recipient: Recipient, action: String? = nil) {
        self.recipient = recipient
        self.action = action
    }
}

/// All that was agreed before the content: the sender, and the recipients that were accepted.
public struct Transaction: Hashable, Sendable {
    public var sender: SenderRequest
    public var recipients: [RecipientRequest]
    /// For the Received line and the rules.
    public var greeting: PeerGreeting

    public init(
        sender: SenderRequest, recipients: [RecipientRequest], greeting: PeerGreeting = PeerGreeting(name: "")
    ) {
        self.sender = sender
        self.recipients = recipients
        self.greeting = greeting
    }
}

/// How the peer introduced itself.
public struct PeerGreeting: Hashable, Sendable {
    /// What it said in HELO, EHLO or LHLO: printable ASCII without spaces, 1 to 255 octets; hostile otherwise.
    public var name: String
    /// Whether it said EHLO or LHLO: `with ESMTP` in the Received line, else `with SMTP` (RFC 3848; LMTP by flavour).
    public var isExtended: Bool

    public init(name: String, isExtended: Bool = true) { (self.name, self.isExtended) = (name, isExtended) }
}

/// What a server says of itself and insists on.
public struct ServerConfiguration: Hashable, Sendable {
    public enum Flavour: Hashable, Sendable { case smtp, lmtp }

    public var flavour: Flavour = .smtp
    /// The name in the banner, in EHLO and for `<postmaster>`.
    public var hostname: String
    /// SIZE, octets of content; a message over it gets 552 5.3.4.
    public var maxMessageSize: Int = 35 << 20
    /// `limit max-rcpt`: recipients a transaction, beyond which 452 4.5.3.
    public var maxRecipients: Int = 1000
    /// `limit max-mails`: transactions a session, beyond which 421 4.7.0 ends the session.
    public var maxMails: Int = 100
    /// Refused commands a session, after which 421 ends it.
    public var maxFailures: Int = 25
    /// Whether RCPT may carry XACTION=NAME (between mail-relay and its agent, never on the network).
    public var takesAction = false

    public init(hostname: String) { self.hostname = hostname }
}
