// Owns: one session between its machine and its policy: actions become calls, answers become events, in order.
// Refuses: sockets, clocks, threads; ServerSessionHandler and StdioSession bring those.

import MailModel
import SMTPProtocol

/// An answer on its way back to the session's own thread.
enum SessionAnswer: Sendable {
    /// Of the question with this number: an answer to any older one is dropped.
    case event(ServerEvent, question: UInt64)
    case goOn(pause: UInt64)
}

/// Confined to one thread; only `deliver` may be called from others, and it must bring the answer to `take(_:)` on
/// that thread. Both may happen inside a call to the policy: events wait in line until the machine is free.
final class SessionDriver {
    private var machine: ServerMachine
    private let policy: any ServerPolicy
    private(set) var facts: SessionFacts
    private let deliver: @Sendable (SessionAnswer) -> Void

    private var sender: SenderRequest?
    private var receiver: (any MessageReceiver)?
    private var events: [ServerEvent] = []
    private(set) var isRunning = false
    private var question: UInt64 = 0
    private var pause: UInt64 = 0
    private var reason: String?
    private var saidGoodbye = false

    /// Replies not yet written; the owner takes them out.
    var output: [UInt8] = []
    /// Whether the receiver asked to stop reading.
    private(set) var isPaused = false
    /// Whether the connection is to be closed as soon as the output is written.
    private(set) var isClosing = false

    init(
        configuration: ServerConfiguration, policy: any ServerPolicy, facts: SessionFacts,
        deliver: @escaping @Sendable (SessionAnswer) -> Void
    ) {
        machine = ServerMachine(configuration: configuration)
        self.policy = policy
        self.facts = facts
        self.deliver = deliver
    }

    /// Whether bytes of the peer may be handed over now.
    var wantsInput: Bool { !isClosing && !isPaused && machine.wantsInput }
    /// Whether the peer is waiting for us and not we for the peer.
    var owesAnswer: Bool { isPaused || !machine.wantsInput }

    /// Whether the session ends in the middle of a talk, so that the peer may still be sending.
    var endsEarly: Bool { reason == "error" }

    func open() {
        policy.connected(facts)
        handle(.opened)
    }

    /// Feeds one event and what follows from it.
    /// - Returns: whether the machine asked for anything: a peer that sends a byte a minute makes no progress.
    @discardableResult
    func handle(_ event: ServerEvent) -> Bool {
        note(event)
        events.append(event)
        guard !isRunning else { return true }
        isRunning = true
        defer { isRunning = false }
        var progress = false
        var next = 0
        while next < events.count {
            let actions = machine.receive(events[next])
            next += 1
            for action in actions { perform(action) }
            progress = progress || !actions.isEmpty
        }
        events.removeAll(keepingCapacity: true)
        return progress
    }

    func take(_ answer: SessionAnswer) {
        switch answer {
        case .event(let event, let number):
            guard number == question else { return }
            question += 1
            handle(event)
        case .goOn(let number):
            if number == pause { isPaused = false }
        }
    }

    /// The connection is gone. Nothing of an unfinished message stays, and late answers find nobody.
    func end() {
        if !isClosing { handle(.peerClosed) }
        question += 1
        isClosing = true
        abort()
        guard !saidGoodbye else { return }
        saidGoodbye = true
        policy.disconnected(facts, reason: reason ?? "disconnect")
    }

    private func note(_ event: ServerEvent) {
        switch event {
        case .timedOut: reason = "timeout"
        case .shuttingDown: reason = "shutdown"
        case .peerClosed: reason = reason ?? "disconnect"
        case .opened, .received, .senderDecided, .recipientDecided, .stored, .storageFailed: break
        }
    }

    private func perform(_ action: ServerAction) {
        switch action {
        case .send(let bytes): output += bytes
        case .decideSender(let request):
            readGreeting()
            sender = request
            policy.decideSender(request, facts, answer: decision { .senderDecided($0) })
        case .decideRecipient(let request):
            guard let sender else { return }
            policy.decideRecipient(request, of: sender, facts, answer: decision { .recipientDecided($0) })
        case .beginMessage(let transaction): receiver = policy.beginMessage(transaction, facts)
        case .content(let bytes): append(bytes)
        case .commitMessage: commit()
        case .abortMessage: abort()
        case .refused(let command, let reply):
            readGreeting()
            policy.refused(command: command, reply: reply, facts)
        case .close:
            isClosing = true
            // RFC 5321 §4.1.1.10: only QUIT is answered with 221.
            reason = reason ?? (lastReplyIsGoodbye ? "quit" : "error")
        }
    }

    private func readGreeting() {
        guard let greeting = machine.greeting else { return }
        facts.helo = greeting.name
        facts.esmtp = greeting.isExtended
    }

    private var lastReplyIsGoodbye: Bool {
        let start = output.dropLast(2).lastIndex(of: 10).map { $0 + 1 } ?? 0
        return output[start...].starts(with: "221".utf8)
    }

    private func decision(_ event: @escaping @Sendable (Reply?) -> ServerEvent) -> @Sendable (Reply?) -> Void {
        question += 1
        return { [question, deliver] reply in deliver(.event(event(reply), question: question)) }
    }

    private func append(_ bytes: [UInt8]) {
        guard let receiver else { return }
        switch receiver.append(bytes) {
        case .more: break
        case .pause(let until):
            isPaused = true
            pause += 1
            until { [pause, deliver] in deliver(.goOn(pause: pause)) }
        case .failed(let reply):
            abort()
            handle(.storageFailed(reply))
        }
    }

    private func commit() {
        endPause()
        question += 1
        let done: @Sendable ([Reply]) -> Void = { [question, deliver] replies in
            deliver(.event(.stored(replies), question: question))
        }
        guard let receiver else {
            return done([Reply(451, EnhancedStatusCode(4, 3, 0), "The message could not be stored, try again later")])
        }
        self.receiver = nil
        receiver.commit(done)
    }

    private func abort() {
        endPause()
        receiver?.abort()
        receiver = nil
    }

    private func endPause() {
        isPaused = false
        pause += 1
    }
}
