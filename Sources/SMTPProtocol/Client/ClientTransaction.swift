// Owns: one transaction's bookkeeping: which commands go out, which reply belongs to which, what became of each
// recipient. Refuses: the session around it (ClientMachine), how commands are written (ClientCommands).

import MailModel

/// The commands are MAIL, a RCPT for each recipient that can be sent, DATA. With PIPELINING all go in one group, DATA
/// last in it (RFC 2920 §3.1); without, one at a time, and none that a refusal made pointless.
struct ClientTransaction {
    enum Step: Hashable {
        case mail
        /// The recipient's place in `mail.recipients`.
        case recipient(Int)
        case data
    }

    /// What a reply to one of the commands leads to.
    enum Outcome: Hashable {
        /// Replies to commands already sent are still due.
        case awaiting
        case send([UInt8])
        /// 354: content may go, somebody waits for it.
        case content
        /// 354 though nobody was accepted (RFC 2920 §3.1): a lone dot must go.
        case emptyContent
        /// Every recipient has its result; no content goes.
        case over
        /// The reply can't be the answer to the command.
        case outOfStep(String)
    }

    let mail: OutgoingMail
    private let flavour: ServerConfiguration.Flavour
    private let pipelining: Bool
    private var steps: [Step] = []
    private var commands: [[UInt8]] = []
    private var sentCount = 0
    private var answeredCount = 0
    private var mailAccepted = false
    /// Recipients the peer accepted, in order; their results come with the final replies.
    private var accepted: [Int] = []
    private var finalCount = 0
    /// nil: not known yet.
    private var partial: [RecipientResult?]

    init(_ mail: OutgoingMail, to peer: PeerCapabilities, flavour: ServerConfiguration.Flavour) {
        self.mail = mail
        self.flavour = flavour
        pipelining = peer.pipelining
        partial = Array(repeating: nil, count: mail.recipients.count)
        do throws(CommandRefusal) {
            try plan(for: peer)
        } catch {
            settleRest(error.result)
        }
    }

    /// Results in the order of the recipients. One still unknown is a temporary failure: nothing counts as delivered
    /// because we lost track of it.
    var results: [RecipientResult] {
        partial.map { $0 ?? .temporary(EnhancedStatusCode(4, 5, 0), "the session ended before the peer answered") }
    }

    /// Whether every recipient has its result.
    var isDecided: Bool { partial.allSatisfy { $0 != nil } }
    var anyDelivered: Bool { partial.contains { $0?.result == .ok } }

    /// The command whose reply is due next; nil when all were answered.
    var awaited: Step? { answeredCount < sentCount ? steps[answeredCount] : nil }

    /// Gives this result to every recipient that has none yet.
    mutating func settleRest(_ result: RecipientResult) {
        for index in partial.indices where partial[index] == nil { partial[index] = result }
    }

    // MARK: Commands

    private mutating func plan(for peer: PeerCapabilities) throws(CommandRefusal) {
        let wantsUTF8 = try Self.check(mail, against: peer)
        var steps: [Step] = [.mail]
        var commands = [try ClientCommands.mail(mail, to: peer, wantsUTF8: wantsUTF8)]
        for (index, recipient) in mail.recipients.enumerated() {
            do throws(CommandRefusal) {
                commands.append(
                    try ClientCommands.recipient(recipient, of: mail, to: peer, wantsUTF8: wantsUTF8))
                steps.append(.recipient(index))
            } catch {
                partial[index] = error.result
            }
        }
        guard steps.count > 1 else { return }
        self.steps = steps + [.data]
        self.commands = commands + [ClientCommands.data]
    }

    /// What the peer can't take is refused here, before a byte is sent.
    /// - Returns: whether SMTPUTF8 is needed and offered.
    private static func check(_ mail: OutgoingMail, against peer: PeerCapabilities) throws(CommandRefusal) -> Bool {
        func refuse(_ result: RecipientResult) -> CommandRefusal { CommandRefusal(result: result) }
        if let limit = peer.sizeLimit, limit > 0, mail.size > limit {  // RFC 1870 §6.1
            throw refuse(
                .permanent(
                    EnhancedStatusCode(5, 3, 4),
                    "the message has \(mail.size) octets, but the peer takes only \(limit)"))
        }
        // RFC 6152 §3: without the extension such content must be converted or not sent; Pouch never alters content.
        guard mail.body == .sevenBit || peer.eightBitMIME else {
            throw refuse(
                .permanent(
                    EnhancedStatusCode(5, 6, 3),
                    "the message holds 8-bit content and the peer does not take 8BITMIME"))
        }
        guard !mail.smtpUTF8 || peer.smtpUTF8 else {  // RFC 6531 §3.2
            throw refuse(
                .permanent(
                    EnhancedStatusCode(5, 6, 7), "the message needs SMTPUTF8 and the peer does not take it"))
        }
        guard mail.action == nil || peer.takesAction else {
            throw refuse(
                .temporary(
                    EnhancedStatusCode(4, 3, 5),
                    "the peer takes no action's name (XACTION); mail-relay --agent must listen there"))
        }
        let mailboxes = mail.recipients.map(\.forwardPath) + (mail.reversePath.mailbox.map { [$0] } ?? [])
        return peer.smtpUTF8 && (mail.smtpUTF8 || mailboxes.contains { !$0.isASCII })
    }

    /// The first write: everything with PIPELINING, MAIL without. nil when every recipient failed before a command.
    mutating func begin() -> [UInt8]? {
        guard !steps.isEmpty else { return nil }
        sentCount = pipelining ? steps.count : 1
        return Array(commands[..<sentCount].joined())
    }

    // MARK: Replies

    /// Takes the reply to `awaited`.
    mutating func answer(_ reply: PeerReply) -> Outcome {
        guard let step = awaited else { return .outOfStep("the peer sent a reply that was not due: \(reply.summary)") }
        answeredCount += 1
        guard (reply.replyClass == 3) == (step == .data) || reply.replyClass > 3 else {
            return .outOfStep("the peer's reply can't answer \(step.verb): \(reply.summary)")
        }
        switch step {
        case .mail:
            mailAccepted = reply.isPositive
            if !mailAccepted { settleRest(RecipientResult(reply)) }
        case .recipient(let index):
            // After a refused MAIL every recipient has its result, whatever is said of it here.
            if partial[index] == nil { answerRecipient(index, reply) }
        case .data:
            if reply.replyClass == 3 { return accepted.isEmpty ? .emptyContent : .content }
            settleRest(RecipientResult(reply))
            return .over
        }
        return next()
    }

    private mutating func answerRecipient(_ index: Int, _ reply: PeerReply) {
        guard !reply.isPositive else { return accepted.append(index) }
        var result = RecipientResult(reply)
        // RFC 5321 §4.5.3.1.10: 552 once meant too many recipients. Only after one was accepted can it mean that, and
        // only if the enhanced status code does not name another cause.
        let tooMany = EnhancedStatusCode(5, 5, 3)
        if reply.code == 552, !accepted.isEmpty, reply.status ?? tooMany == tooMany {
            (result.result, result.status) = (.temporaryFailure, EnhancedStatusCode(4, 5, 3))
        }
        partial[index] = result
    }

    private mutating func next() -> Outcome {
        if answeredCount < sentCount { return .awaiting }
        guard mailAccepted, answeredCount < steps.count else { return .over }
        if steps[answeredCount] == .data && accepted.isEmpty { return .over }
        sentCount += 1
        return .send(commands[sentCount - 1])
    }

    /// Takes a reply to the final dot. In SMTP one counts for all accepted recipients, in LMTP each has its own, in the
    /// order of the accepted RCPTs (RFC 2033 §4.2).
    /// - Returns: a sentence when the reply can't be one to the final dot.
    mutating func answerFinal(_ reply: PeerReply) -> String? {
        guard reply.replyClass != 3 else { return "the peer's reply can't answer the final dot: \(reply.summary)" }
        let result = RecipientResult(reply)
        switch flavour {
        case .smtp: settleRest(result)
        case .lmtp:
            guard finalCount < accepted.count else { return "the peer sent too many replies: \(reply.summary)" }
            partial[accepted[finalCount]] = result
            finalCount += 1
        }
        return nil
    }
}

extension ClientTransaction.Step {
    var verb: String {
        switch self {
        case .mail: "MAIL"
        case .recipient: "RCPT"
        case .data: "DATA"
        }
    }
}
