// Owns: the client's side of an SMTP or LMTP session as states. Refuses: sockets, clocks, content (the I/O streams it),
// one transaction's bookkeeping (ClientTransaction).
//
//   idle --opened--> greeting --220--> hello(EHLO, LHLO) --2yz--> ready
//                                           | 5yz, SMTP             ^
//                                           +--> hello(HELO) --2yz--+
//
//   ready --deliver--> envelope --354--> streaming --contentSent--> final --last reply--> ready
//                       |    |                                        | nobody got it
//                       |    +--354, nobody accepted--> emptyContent  |
//                       | all refused                         |       |
//                       +-------------------------------------+-------+--> resetting --2yz--> ready
//
//   ready --quit, timeout--> quitting --any reply--> closed       greeting, hello --4yz, 5yz--> quitting
//   any --421, reply out of step, peer gone, timeout--> closed
//
// One rule guards against replies that were not due: nothing is ever sent while bytes of the peer are left unread, and
// while nothing is awaited any reply ends the session. So the reply to the final dot was begun after the dot was sent.

import MailModel

public struct ClientMachine: Sendable {
    private enum State {
        case idle
        case greeting
        /// The name in the greeting is kept for the capabilities.
        case hello(Hello, name: String)
        case ready
        case transaction(ClientTransaction, Phase)
        case resetting
        case quitting
        case closed
    }

    private enum Hello: String { case ehlo = "EHLO", helo = "HELO", lhlo = "LHLO" }

    private enum Phase {
        /// Replies to MAIL, RCPT, DATA are due.
        case envelope
        /// The content goes out; no reply is due.
        case streaming
        /// The final dot is out.
        case final
        /// A lone dot went out, because the peer asked for content though it had accepted nobody.
        case emptyContent
    }

    private let configuration: ClientConfiguration
    private var state = State.idle
    private var parser = ReplyParser()
    private var capabilities = PeerCapabilities()
    /// `.quit` came while something was under way.
    private var quitsWhenReady = false

    public init(configuration: ClientConfiguration) { self.configuration = configuration }

    /// What to do about an event, in order. After `.close` nothing is left to do, but `.deliver` still gets its `.finished`.
    public mutating func receive(_ event: ClientEvent) -> [ClientAction] {
        var out: [ClientAction] = []
        switch event {
        case .opened: open(&out)
        case .received(let bytes): read(bytes, &out)
        case .deliver(let mail): deliver(mail, &out)
        case .contentSent: endContent(&out)
        case .contentFailed: abandonContent(&out)
        case .quit: quit(&out)
        case .timedOut: timeOut(&out)
        case .peerClosed: lose(.temporary(EnhancedStatusCode(4, 4, 2), "connection closed" + whileWaiting), &out)
        }
        return out
    }

    // MARK: Events

    private mutating func open(_ out: inout [ClientAction]) {
        guard case .idle = state else { return }
        state = .greeting
        guard ClientCommands.greeting("EHLO", name: configuration.helo) != nil else {
            return lose(.temporary(EnhancedStatusCode(4, 3, 5), "the name for EHLO can't be sent; check helo"), &out)
        }
        out.append(.setTimeout(ClientTimeouts.greeting))
    }

    private mutating func read(_ bytes: [UInt8], _ out: inout [ClientAction]) {
        if case .closed = state { return }
        parser.append(bytes)
        do throws(ReplyError) {
            while let reply = try parser.next() {
                take(reply, &out)
                if case .closed = state { return }
            }
        } catch {
            lose(outOfStep(error.sentence), &out)
        }
    }

    private mutating func take(_ reply: PeerReply, _ out: inout [ClientAction]) {
        if case .quitting = state { return close(&out) }
        // RFC 5321 §3.8 and §4.2.3: 421 may come at any time, in place of any reply, and the connection ends.
        if reply.code == 421 { return lose(RecipientResult(reply), &out) }
        switch state {
        case .greeting: takeGreeting(reply, &out)
        case .hello(let hello, let name): takeHello(hello, name, reply, &out)
        case .transaction(var transaction, let phase):
            state = .closed  // The one copy of the transaction is ours while it changes.
            take(reply, &transaction, phase, &out)
        case .resetting: reply.isPositive ? becomeReady(&out) : close(&out)
        case .idle, .ready, .quitting, .closed: close(&out)
        }
    }

    private mutating func deliver(_ mail: OutgoingMail, _ out: inout [ClientAction]) {
        guard case .ready = state else {
            let result = RecipientResult.temporary(EnhancedStatusCode(4, 4, 2), "the session was not ready for mail")
            return out.append(.finished(mail.recipients.map { _ in result }))
        }
        var transaction = ClientTransaction(mail, to: capabilities, flavour: configuration.flavour)
        guard let commands = transaction.begin() else {
            out.append(.finished(transaction.results))
            return becomeReady(&out)
        }
        state = .transaction(transaction, .envelope)
        send(commands, ClientTimeouts.command, &out)
    }

    private mutating func endContent(_ out: inout [ClientAction]) {
        guard case .transaction(let transaction, .streaming) = state else { return }
        guard parser.isEmpty else { return lose(outOfStep("the peer replied before the message had ended"), &out) }
        state = .transaction(transaction, .final)
        send(ClientCommands.finalDot, ClientTimeouts.final, &out)
    }

    private mutating func abandonContent(_ out: inout [ClientAction]) {
        guard case .transaction(_, .streaming) = state else { return }
        lose(.temporary(EnhancedStatusCode(4, 3, 0), "the message could not be read to its end from the queue"), &out)
    }

    private mutating func quit(_ out: inout [ClientAction]) {
        switch state {
        case .ready: sendQuit(&out)
        case .idle: close(&out)
        case .greeting, .hello, .transaction, .resetting: quitsWhenReady = true
        case .quitting, .closed: break
        }
    }

    private mutating func timeOut(_ out: inout [ClientAction]) {
        if case .ready = state { return sendQuit(&out) }
        lose(.temporary(EnhancedStatusCode(4, 4, 2), "timed out" + whileWaiting), &out)
    }

    // MARK: Replies

    /// RFC 5321 §4.3.1: 220, or a refusal such as 554. Another 2yz is no greeting: what speaks there is out of step.
    private mutating func takeGreeting(_ reply: PeerReply, _ out: inout [ClientAction]) {
        guard reply.replyClass < 4 else { return refuse(RecipientResult(reply), &out) }
        guard reply.code == 220 else {
            return lose(outOfStep("the peer's greeting is not 220: \(reply.summary)"), &out)
        }
        let name = PeerCapabilities(greeting: reply).name
        sendHello(configuration.flavour == .lmtp ? .lhlo : .ehlo, name: name, &out)
    }

    /// RFC 5321 §3.2: who does not know EHLO is spoken to with HELO, and offers nothing.
    private mutating func takeHello(_ hello: Hello, _ name: String, _ reply: PeerReply, _ out: inout [ClientAction]) {
        switch (reply.replyClass, hello) {
        case (2, .helo):
            capabilities.name = name
            becomeReady(&out)
        case (2, _):
            capabilities = PeerCapabilities(greetingName: name, extensions: reply)
            becomeReady(&out)
        case (5, .ehlo): sendHello(.helo, name: name, &out)
        case (4, _), (5, _): refuse(RecipientResult(reply), &out)
        default: lose(outOfStep("the peer's reply can't answer \(hello.rawValue): \(reply.summary)"), &out)
        }
    }

    private mutating func take(
        _ reply: PeerReply, _ transaction: inout ClientTransaction, _ phase: Phase, _ out: inout [ClientAction]
    ) {
        func keep(_ phase: Phase) { state = .transaction(transaction, phase) }
        switch phase {
        case .envelope:
            let outcome = transaction.answer(reply)
            keep(.envelope)
            follow(outcome, transaction, &out)
        case .streaming:
            keep(.streaming)
            lose(outOfStep("the peer replied before the message had ended: \(reply.summary)"), &out)
        case .final:
            let problem = transaction.answerFinal(reply)
            keep(.final)
            if let problem { return lose(outOfStep(problem), &out) }
            guard transaction.isDecided else { return out.append(.setTimeout(ClientTimeouts.final)) }
            finish(transaction, &out)
        case .emptyContent:
            // Whatever is said of the empty message counts for nobody (RFC 2920 §3.1).
            finish(transaction, &out)
        }
    }

    private mutating func follow(
        _ outcome: ClientTransaction.Outcome, _ transaction: ClientTransaction, _ out: inout [ClientAction]
    ) {
        switch outcome {
        case .awaiting: out.append(.setTimeout(timeout(for: transaction.awaited)))
        case .send(let command): send(command, timeout(for: transaction.awaited), &out)
        case .content:
            state = .transaction(transaction, .streaming)
            out += [.setTimeout(ClientTimeouts.contentBlock), .sendContent]
        case .emptyContent where configuration.flavour == .lmtp:
            // RFC 2033 §4.2 wants 503 here; after a dot no reply at all would come.
            lose(outOfStep("the peer asked for content though it had accepted no recipient"), &out)
        case .emptyContent:
            state = .transaction(transaction, .emptyContent)
            send(ClientCommands.finalDot, ClientTimeouts.final, &out)
        case .over: finish(transaction, &out)
        case .outOfStep(let sentence): lose(outOfStep(sentence), &out)
        }
    }

    private func timeout(for step: ClientTransaction.Step?) -> Duration {
        step == .data ? ClientTimeouts.data : ClientTimeouts.command
    }

    // MARK: Ways out

    /// The transaction is over and the session goes on. RSET clears what a refused transaction left at the peer.
    private mutating func finish(_ transaction: ClientTransaction, _ out: inout [ClientAction]) {
        out.append(.finished(transaction.results))
        guard !transaction.anyDelivered else { return becomeReady(&out) }
        state = .resetting
        send(ClientCommands.reset, ClientTimeouts.command, &out)
    }

    private mutating func becomeReady(_ out: inout [ClientAction]) {
        state = .ready
        if quitsWhenReady { sendQuit(&out) } else { out.append(.ready(capabilities)) }
    }

    private mutating func sendHello(_ hello: Hello, name: String, _ out: inout [ClientAction]) {
        state = .hello(hello, name: name)
        let command = ClientCommands.greeting(hello.rawValue, name: configuration.helo) ?? []
        send(command, ClientTimeouts.command, &out)
    }

    /// The peer does not want us: it says why, and we take leave (RFC 5321 §3.1).
    private mutating func refuse(_ result: RecipientResult, _ out: inout [ClientAction]) {
        out.append(.failed(SessionFailure(result)))
        sendQuit(&out)
    }

    private mutating func sendQuit(_ out: inout [ClientAction]) {
        state = .quitting
        out += [.send(ClientCommands.quit), .setTimeout(ClientTimeouts.quit)]
    }

    /// Sends what asks for a reply; nothing of the peer may be left unread then, or it would pass for the reply.
    private mutating func send(_ bytes: [UInt8], _ timeout: Duration, _ out: inout [ClientAction]) {
        guard parser.isEmpty else { return lose(outOfStep("the peer replied before it was asked"), &out) }
        out += [.send(bytes), .setTimeout(timeout)]
    }

    /// Ends the session without QUIT, with this result for what has none.
    private mutating func lose(_ result: RecipientResult, _ out: inout [ClientAction]) {
        switch state {
        case .greeting, .hello:
            out.append(.failed(SessionFailure(result)))
        case .transaction(var transaction, _):
            transaction.settleRest(result)
            out.append(.finished(transaction.results))
        case .idle, .ready, .resetting, .quitting: break
        case .closed: return
        }
        close(&out)
    }

    private mutating func close(_ out: inout [ClientAction]) {
        state = .closed
        out.append(.close)
    }

    // MARK: Sentences

    /// After the final dot nobody but the peer knows (RFC 1047): trying again may deliver twice, not trying may lose.
    private static let mayBeTwice = "; the peer may have taken the message, so it may arrive twice"

    private func outOfStep(_ sentence: String) -> RecipientResult {
        var sentence = sentence
        if case .transaction(_, .final) = state { sentence += Self.mayBeTwice }
        return .temporary(EnhancedStatusCode(4, 5, 0), sentence)
    }

    private var whileWaiting: String {
        switch state {
        case .greeting: " while waiting for the greeting"
        case .hello(let hello, _): " while waiting for the reply to \(hello.rawValue)"
        case .transaction(let transaction, .envelope):
            " while waiting for the reply to \(transaction.awaited?.verb ?? "DATA")"
        case .transaction(_, .streaming): " while the message was being sent"
        case .transaction(_, .final): " while waiting for the reply to the final dot" + Self.mayBeTwice
        case .transaction(_, .emptyContent), .idle, .ready, .resetting, .quitting, .closed: ""
        }
    }
}
