// Owns: what a server asks of the program around it: who may send, what becomes of content, what goes to the log.
// Refuses: answers of its own.

import MailModel
import SMTPProtocol

/// What is known about a session; `helo` and `esmtp` are empty and false until the peer has said HELO or EHLO.
public struct SessionFacts: Hashable, Sendable {
    /// Numeric text without port, or `local` for a Unix socket or a pipe.
    public var clientAddress: String
    public var clientPort: UInt16
    public var localAddress: String
    public var localPort: UInt16
    public var isUnix: Bool
    /// Random; logs show it as sixteen hexadecimal digits, see `sessionName`.
    public var sessionID: UInt64
    /// What the peer said in HELO, EHLO or LHLO, as of the transaction: hostile text.
    public var helo: String
    /// Whether it greeted with EHLO or LHLO.
    public var esmtp: Bool
    /// The place of the listener in the array given to `SMTPServer.start`.
    public var listenerIndex: Int
    /// Who is at the other end of a Unix socket (SO_PEERCRED).
    public var peerUID: UInt32?

    public init(
        clientAddress: String = "local", clientPort: UInt16 = 0, localAddress: String = "local", localPort: UInt16 = 0,
        isUnix: Bool = false, sessionID: UInt64 = .random(in: .min ... .max), helo: String = "", esmtp: Bool = false,
        listenerIndex: Int = 0, peerUID: UInt32? = nil
    ) {
        self.clientAddress = clientAddress
        self.clientPort = clientPort
        self.localAddress = localAddress
        self.localPort = localPort
        self.isUnix = isUnix
        self.sessionID = sessionID
        self.helo = helo
        self.esmtp = esmtp
        self.listenerIndex = listenerIndex
        self.peerUID = peerUID
    }

    /// The sixteen hexadecimal digits that begin this session's log lines.
    public var sessionName: String {
        let digits = String(sessionID, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

/// The program's side of a server. Called on the server's event loop: nothing here may block. Answers may be given at
/// once or later, from any thread; each counts once, and answers after the end of the session are dropped.
public protocol ServerPolicy: Sendable {
    func connected(_ session: SessionFacts)
    /// nil accepts.
    func decideSender(
        _ sender: SenderRequest, _ session: SessionFacts, answer: @escaping @Sendable (Reply?) -> Void)
    /// nil accepts.
    func decideRecipient(
        _ recipient: RecipientRequest, of sender: SenderRequest, _ session: SessionFacts,
        answer: @escaping @Sendable (Reply?) -> Void)
    func beginMessage(_ transaction: Transaction, _ session: SessionFacts) -> any MessageReceiver
    /// A command was refused; or the whole session, which was one too many: then the command is `(connection)`, and
    /// neither `connected` nor `disconnected` is called.
    func refused(command: String, reply: Reply, _ session: SessionFacts)
    /// - Parameter reason: `quit`, `disconnect`, `timeout`, `shutdown` or `error`.
    func disconnected(_ session: SessionFacts, reason: String)
}

/// Where the content of one message goes. Exactly one of `commit` and `abort` ends it, whatever happens.
public protocol MessageReceiver: AnyObject, Sendable {
    func append(_ bytes: [UInt8]) -> ContentFlow
    /// All content was given; `done` is called once, from any thread, when it is durable or can't be: one reply, or in
    /// LMTP one for each recipient. From here on the message is the receiver's: no `abort` follows.
    func commit(_ done: @escaping @Sendable ([Reply]) -> Void)
    /// The message ends without a trace.
    func abort()
}

/// What a receiver says to the bytes it was given. It has taken them in the first two cases.
public enum ContentFlow: Sendable {
    case more
    /// Reading from the peer stops. `until` is called at once with a function that makes it go on; that function may be
    /// called from any thread and before `until` returns. What was read already still arrives: 128 KiB at most,
    /// unless the peer has closed its side, and then what the kernel holds.
    case pause(until: @Sendable (_ goOn: @escaping @Sendable () -> Void) -> Void)
    /// The message can't be stored: `abort` follows, and the peer gets this reply at the end of its content.
    case failed(Reply)
}
