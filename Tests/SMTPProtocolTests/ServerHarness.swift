// Owns: a caller of ServerMachine that stores in memory, and the rules that every list of actions must keep. Refuses:
// what a dialogue expects.

import MailModel
import Testing

@testable import SMTPProtocol

/// What the caller decides; all else is accepted.
struct ScriptedCaller: Sendable {
    /// By address, or by the name of an action.
    var refusals: [String: Reply] = [:]
    /// Empty: as many positive ones as are asked for.
    var storeReplies: [Reply] = []
    var storeFailure: Reply?
}

/// Drives a machine as a listener would and watches what it asks for.
struct ServerHarness {
    private(set) var machine: ServerMachine
    let caller: ScriptedCaller
    /// All that went to the peer.
    private(set) var sent: [UInt8] = []
    private(set) var sendCount = 0
    private(set) var begun: [Transaction] = []
    private(set) var refused: [String] = []
    /// Contents of messages whose storing was answered with a success for somebody.
    private(set) var stored: [[UInt8]] = []
    private(set) var isClosed = false
    /// The message begun and not committed yet.
    private var message: [UInt8]?
    private var recipients = 0
    /// What was asked and not answered yet.
    private(set) var question: ServerEvent?

    init(configuration: ServerConfiguration, caller: ScriptedCaller) {
        machine = ServerMachine(configuration: configuration)
        self.caller = caller
    }

    /// Tells the event and does what the machine asks for; the answers it waits for are left to `answer()`.
    mutating func tell(_ event: ServerEvent) {
        for action in machine.receive(event) { perform(action) }
        #expect((question == nil || isClosed) || !machine.wantsInput, "waits for an answer and wants input")
    }

    /// Answers what is asked, and what is asked thereafter. Bounded by the input: each question consumes a line of it.
    mutating func answer() {
        while let event = question {
            question = nil
            tell(event)
        }
    }

    private mutating func perform(_ action: ServerAction) {
        #expect(!isClosed, "\(action) after close")
        switch action {
        case .send(let octets):
            sent += octets
            sendCount += 1
        case .decideSender(let request):
            ask(.senderDecided(caller.refusals[request.reversePath.description]))
        case .decideRecipient(let request):
            let address = request.recipient.forwardPath.description
            ask(.recipientDecided(caller.refusals[request.action ?? ""] ?? caller.refusals[address]))
        case .beginMessage(let transaction):
            #expect(message == nil && !transaction.recipients.isEmpty && !transaction.greeting.name.isEmpty)
            begun.append(transaction)
            recipients = transaction.recipients.count
            message = []
        case .content(let octets):
            #expect(message != nil && !octets.isEmpty, "content outside a message")
            message?.append(contentsOf: octets)
        case .commitMessage: commit()
        case .abortMessage:
            #expect(message != nil, "abort outside a message")
            message = nil
        case .refused(let command, _): refused.append(command)
        case .close:
            #expect(message == nil, "closed within a message that was neither aborted nor committed")
            isClosed = true
        }
    }

    private mutating func ask(_ answer: ServerEvent) {
        #expect(question == nil, "two questions at once")
        question = answer
    }

    private mutating func commit() {
        #expect(message != nil, "commit outside a message")
        defer { message = nil }
        if let failure = caller.storeFailure { return ask(.storageFailed(failure)) }
        let ok = Reply(250, EnhancedStatusCode(2, 0, 0), "Stored")
        let replies = caller.storeReplies.isEmpty ? Array(repeating: ok, count: recipients) : caller.storeReplies
        if let message, replies.contains(where: \.isPositive) { stored.append(message) }
        ask(.stored(replies))
    }
}
