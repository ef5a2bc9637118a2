// Owns: the server's side of an SMTP or LMTP session: which command is allowed when, which reply follows, when content
// is begun, committed or aborted. Refuses: sockets, clocks, files, policy; the caller decides and stores.
//
//                 opened          MAIL                    accepted
//     connecting -------> ready ------> senderPending ---------------> envelope <--------+
//                          ^  ^              | refused                  |   |  |    decided |
//                          |  +--------------+                     DATA |   |  | RCPT       |
//                          |  ^  RSET, HELO, EHLO, LHLO                 |   |  +--> recipientPending
//                          |  +-----------------------------------------|---+
//                          |        final dot: refused                  v
//                          +------------------------------------------ content
//                          |   stored                                   | final dot: acceptable
//                          +------------------ committing <-------------+
//
//     any state --QUIT, peerClosed, timedOut, too many mails or refusals--> closed
//
// RFC 5321 is silent on a HELO in the middle of pipelined commands: they are obeyed one by one, in order.

import MailModel

/// The server's side of a session, without input and output of its own. Give it events, do what it asks for in order:
///
///     var machine = ServerMachine(configuration: ServerConfiguration(hostname: "mx.example.org"))
///     perform(machine.receive(.opened))
///     perform(machine.receive(.received(bytes)))       // perhaps .decideSender...
///     perform(machine.receive(.senderDecided(nil)))    // ...which this answers
///
/// Replies to pipelined commands are gathered until the peer has nothing more to say (RFC 2920 §3.2).
public struct ServerMachine: Sendable {
    private enum State {
        case connecting
        case ready
        case senderPending(SenderRequest)
        case envelope(OpenTransaction)
        case recipientPending(OpenTransaction, RecipientRequest)
        /// `replies`: how many the end of the content asks for.
        case content(ContentReceiver, replies: Int)
        case committing(replies: Int)
        case closed
    }

    private let configuration: ServerConfiguration
    private var state = State.connecting
    private var framer = LineFramer()
    private var counts = (mails: 0, failures: 0)
    private var isStopping = false
    /// Replies that wait for the peer's last pipelined command.
    private var unsent: [UInt8] = []
    private var actions: [ServerAction] = []

    /// How the peer introduced itself last; nil before HELO, EHLO or LHLO.
    public private(set) var greeting: PeerGreeting?

    public init(configuration: ServerConfiguration) { self.configuration = configuration }

    /// Whether reading on makes sense; false while an answer of the caller's is awaited, and once closed. What was
    /// received already is kept and read after the answer.
    public var wantsInput: Bool {
        switch state {
        case .ready, .envelope, .content: true
        case .connecting, .senderPending, .recipientPending, .committing, .closed: false
        }
    }

    /// Whether no transaction is open: closing now costs the peer nothing.
    public var isIdle: Bool {
        switch state {
        case .connecting, .ready, .closed: true
        case .senderPending, .envelope, .recipientPending, .content, .committing: false
        }
    }

    /// Takes one event. Events that don't fit the state (an answer nobody asked for) do nothing.
    public mutating func receive(_ event: ServerEvent) -> [ServerAction] {
        switch event {
        case .opened: open()
        case .received(let bytes): if !isClosed { framer.append(bytes) }
        case .senderDecided(let reply): decideSender(reply)
        case .recipientDecided(let reply): decideRecipient(reply)
        case .stored(let replies): finishCommit(replies)
        case .storageFailed(let reply): failStorage(reply)
        case .timedOut: timeOut()
        case .shuttingDown: stop()
        case .peerClosed: hangUp()
        }
        while wantsInput && readOn() {}
        if wantsInput { flush() }
        defer { actions = [] }
        return actions
    }

    private var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    // MARK: - Reading

    /// Reads one line or a stretch of content; false when nothing whole is left.
    private mutating func readOn() -> Bool {
        if case .content(var receiver, let replies) = state { return readContent(&receiver, replies) }
        guard let line = framer.next() else { return false }
        switch line {
        case .line(let octets): obey(octets)
        case .tooLong: refuse("(a line over \(LineFramer.limit) octets)", ServerReplies.lineTooLong)
        case .bareLineEnd: refuse("(a line with a bare CR or LF)", ServerReplies.bareLineEnd)
        }
        return true
    }

    private mutating func readContent(_ receiver: inout ContentReceiver, _ replies: Int) -> Bool {
        guard !framer.unread.isEmpty else { return false }
        let wasAcceptable = receiver.refusal == nil
        let (content, read) = receiver.read(framer.unread)
        framer.consume(read)
        if !content.isEmpty { actions.append(.content(content)) }
        if wasAcceptable && receiver.refusal != nil { actions.append(.abortMessage) }
        guard receiver.isAtEnd else {
            state = .content(receiver, replies: replies)
            return true
        }
        if let refusal = receiver.refusal {
            actions.append(.refused(command: "DATA", reply: refusal))
            finishTransaction(Array(repeating: refusal, count: replies))
        } else {
            state = .committing(replies: replies)
            actions.append(.commitMessage)
        }
        return true
    }

    private mutating func obey(_ line: ArraySlice<UInt8>) {
        do {
            let command = try Command(line, takesAction: configuration.takesAction)
            try obey(command)
        } catch {
            refuse(Self.printable(line), error.reply)
        }
    }

    private mutating func obey(_ command: Command) throws(Refusal) {
        switch command {
        case .helo(let name): try greet(name, as: .smtp, isExtended: false)
        case .ehlo(let name): try greet(name, as: .smtp, isExtended: true)
        case .lhlo(let name): try greet(name, as: .lmtp, isExtended: true)
        case .mail(let sender): try begin(sender)
        case .rcpt(let path, let action): try add(path, action)
        case .data: try startContent()
        case .rset:
            state = .ready
            answer(ServerReplies.ok)
        case .noop: answer(ServerReplies.ok)
        case .help: answer(ServerReplies.help)
        case .vrfy: answer(ServerReplies.notVerified)
        case .expn: throw Refusal(ServerReplies.notImplemented)
        case .quit: close(ServerReplies.goodbye(configuration))
        }
    }

    // MARK: - The envelope

    /// RFC 5321 §4.1.4: ends a transaction as RSET does. RFC 2033 §4.1: HELO and EHLO are no commands of LMTP.
    private mutating func greet(
        _ name: String, as flavour: ServerConfiguration.Flavour, isExtended: Bool
    ) throws(Refusal) {
        guard flavour == configuration.flavour else { throw Refusal(ServerReplies.unknownCommand) }
        greeting = PeerGreeting(name: name, isExtended: isExtended)
        state = .ready
        answer(isExtended ? ServerReplies.extensions(configuration) : ServerReplies.helo(configuration))
    }

    private mutating func begin(_ sender: SenderRequest) throws(Refusal) {
        guard greeting != nil else { throw Refusal(ServerReplies.helloFirst) }
        guard case .ready = state else { throw Refusal(ServerReplies.nestedMail) }
        guard counts.mails < configuration.maxMails else { return close(ServerReplies.tooManyMails) }
        // RFC 1870 §6.1.
        if let size = sender.size, size > configuration.maxMessageSize { throw Refusal(ServerReplies.tooBig) }
        state = .senderPending(sender)
        actions.append(.decideSender(sender))
    }

    private mutating func decideSender(_ reply: Reply?) {
        guard case .senderPending(let sender) = state else { return }
        state = .ready
        if let reply, !reply.isPositive { return refuse("MAIL FROM:<\(sender.reversePath)>", reply, counting: false) }
        counts.mails += 1
        state = .envelope(OpenTransaction(sender: sender))
        answer(reply ?? ServerReplies.senderOk)
    }

    private mutating func add(_ path: Path, _ action: String?) throws(Refusal) {
        guard case .envelope(let transaction) = state else { throw Refusal(ServerReplies.mailFirst) }
        guard let mailbox = path.mailbox(at: configuration.hostname) else { throw Refusal(ServerReplies.badHostname) }
        guard transaction.recipients.count < configuration.maxRecipients else {
            // RFC 5321 §4.5.3.1.10. Not counted as a failure: the peer will send the rest later, as it should.
            return refuse("RCPT TO:<\(mailbox)>", ServerReplies.tooManyRecipients, counting: false)
        }
        let request = RecipientRequest(recipient: Recipient(mailbox), action: action)
        state = .recipientPending(transaction, request)
        actions.append(.decideRecipient(request))
    }

    /// Refused recipients are no failures of the session: a list with stale members must still be deliverable.
    private mutating func decideRecipient(_ reply: Reply?) {
        guard case .recipientPending(var transaction, let request) = state else { return }
        state = .ready  // Else the state would share the recipients, and each one more would copy them all.
        let isAccepted = reply?.isPositive ?? true
        transaction.add(isAccepted ? request : nil)
        state = .envelope(transaction)
        guard let reply, !isAccepted else { return answer(reply ?? ServerReplies.recipientOk) }
        refuse("RCPT TO:<\(request.recipient.forwardPath)>", reply, counting: false)
    }

    // MARK: - The message

    private mutating func startContent() throws(Refusal) {
        guard case .envelope(let transaction) = state else { throw Refusal(ServerReplies.mailFirst) }
        guard !transaction.recipients.isEmpty else {
            // RFC 5321 §3.3 leaves the choice; RFC 2033 §4.2 wants 503. Pipelining clients get here without a fault.
            guard transaction.hasRefusedRecipients else { throw Refusal(ServerReplies.rcptFirst) }
            let isLMTP = configuration.flavour == .lmtp
            return refuse("DATA", isLMTP ? ServerReplies.noRecipientsLMTP : ServerReplies.noRecipients, counting: false)
        }
        actions.append(.beginMessage(transaction.finished(greeting: greeting)))
        // RFC 2033 §4.2: one reply for each accepted recipient.
        let replies = configuration.flavour == .lmtp ? transaction.recipients.count : 1
        state = .content(ContentReceiver(maxSize: configuration.maxMessageSize), replies: replies)
        answer(ServerReplies.startContent)
    }

    private mutating func failStorage(_ reply: Reply) {
        let reply = reply.isPositive ? ServerReplies.noResult : reply
        if case .committing(let replies) = state {
            // The content and its end came together, so the refusal was not told yet.
            actions.append(.refused(command: "DATA", reply: reply))
            return finishTransaction(Array(repeating: reply, count: replies))
        }
        guard case .content(var receiver, let replies) = state, receiver.refusal == nil else { return }
        receiver.refuse(reply)
        state = .content(receiver, replies: replies)
        actions.append(.abortMessage)
    }

    private mutating func finishCommit(_ given: [Reply]) {
        guard case .committing(let count) = state else { return }
        let missing = Array(repeating: ServerReplies.noResult, count: max(0, count - given.count))
        finishTransaction(given.prefix(count) + missing)
    }

    private mutating func finishTransaction(_ replies: [Reply]) {
        state = .ready
        replies.forEach { unsent += $0.bytes }
        if isStopping {
            close(ServerReplies.shuttingDown(configuration))
        } else if replies.contains(where: { $0.code == 421 }) {
            close(nil)
        }
    }

    // MARK: - The session

    private mutating func open() {
        guard case .connecting = state else { return }
        state = .ready
        answer(ServerReplies.banner(configuration))
    }

    private mutating func timeOut() {
        if case .committing = state { return }
        close(ServerReplies.timedOut(configuration))
    }

    /// RFC 5321 §3.8: a message under way is finished; what came before it can be said again elsewhere.
    private mutating func stop() {
        isStopping = true
        switch state {
        case .content, .committing: return
        case .connecting, .ready, .senderPending, .envelope, .recipientPending, .closed:
            close(ServerReplies.shuttingDown(configuration))
        }
    }

    /// Nobody reads replies any more. A message being stored goes on being stored; its answer finds nobody.
    private mutating func hangUp() {
        unsent = []
        close(nil)
    }

    /// RFC 5321 §3.8: 421 closes, whoever gave it.
    private mutating func answer(_ reply: Reply) {
        unsent += reply.bytes
        if reply.code == 421 { close(nil) }
    }

    private mutating func refuse(_ command: String, _ reply: Reply, counting: Bool = true) {
        actions.append(.refused(command: command, reply: reply))
        answer(reply)
        guard counting, !isClosed else { return }
        counts.failures += 1
        if counts.failures >= configuration.maxFailures { close(ServerReplies.tooManyFailures) }
    }

    private mutating func close(_ last: Reply?) {
        if isClosed { return }
        if case .content(let receiver, _) = state, receiver.refusal == nil { actions.append(.abortMessage) }
        if let last { unsent += last.bytes }
        flush()
        actions.append(.close)
        state = .closed
        framer = LineFramer()
    }

    private mutating func flush() {
        if unsent.isEmpty { return }
        actions.append(.send(unsent))
        unsent = []
    }

    /// A line for the log: at most 200 characters, all of them printable ASCII.
    private static func printable(_ line: ArraySlice<UInt8>) -> String {
        String(decoding: line.prefix(200).map { (32...126).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }
}
