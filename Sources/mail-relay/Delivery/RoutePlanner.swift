// Owns: what is to be done for one recipient: rules, aliases, the action's next hop. Refuses: tables of its own,
// connections, the queue.

import MailModel
import QueueKit
import Routing

/// What routing says of a recipient.
enum RouteDecision: Hashable, Sendable {
    case deliver(NextHop, reversePath: ReversePath, action: String)
    /// An alias put these in its place. `refused` are members that can't be delivered, told of by a DSN.
    case expand([Recipient], refused: [AliasError])
    /// Nowhere; for now, or for good.
    case refuse(AliasError)
}

struct RoutePlanner: Sendable {
    let router: Router
    private var configuration: Configuration { router.configuration }

    init(router: Router) { self.router = router }

    /// Whether a decision may have to wait for the program of a table.
    var asksPrograms: Bool {
        configuration.tables.values.contains { if case .program = $0 { true } else { false } }
    }

    /// Decides for each of a message's recipients, by number. Files and the system's users may block `executor`; programs
    /// are waited for by nobody, so that one that hangs holds up no other message.
    func inquire(
        _ recipients: [DueMessage.Outstanding], of envelope: Envelope,
        on executor: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void,
        then answer: @escaping @Sendable ([Int: RouteDecision]) -> Void
    ) {
        router.inquire(
            on: executor, { RoutePlanner(router: $0).decide(recipients, of: envelope) }, then: answer)
    }

    func decide(_ recipients: [DueMessage.Outstanding], of envelope: Envelope) -> [Int: RouteDecision] {
        let own = envelope.recipients.count
        return Dictionary(
            recipients.map { ($0.number, decide($0.recipient, of: envelope, isMember: $0.number >= own)) },
            uniquingKeysWith: { first, _ in first })
    }

    /// - Parameter isMember: an alias put the recipient in the place of another, which is not looked up again.
    func decide(_ recipient: Recipient, of envelope: Envelope, isMember: Bool = false) -> RouteDecision {
        let facts = MatchFacts(
            origin: envelope.origin, reversePath: envelope.reversePath, recipient: recipient.forwardPath)
        // Routed before: only the action's name counts, as the configuration has it today. The rules are asked again
        // when it has no action of that name any more.
        guard let name = recipient.action, let action = configuration.actions[name] else {
            return decide(recipient, router.expand(facts), envelope)
        }
        if isMember || action.isRelay { return deliver(recipient.forwardPath, by: action, envelope) }
        return decide(recipient, router.expand(facts, action: action), envelope)
    }

    private func decide(_ recipient: Recipient, _ expansion: Expansion, _ envelope: Envelope) -> RouteDecision {
        if let refusal = expansion.refusal { return .refuse(refusal) }
        let targets = expansion.targets
        if targets.count == 1, targets[0].mailbox == recipient.forwardPath, expansion.refusals.isEmpty {
            guard let action = configuration.actions[targets[0].action] else { return .refuse(.vanished) }
            return deliver(recipient.forwardPath, by: action, envelope)
        }
        guard !targets.isEmpty else {
            let text = "\(recipient.forwardPath) expands to nobody"
            return .refuse(AliasError(code: 550, status: EnhancedStatusCode(5, 1, 1), text: text))
        }
        let original = recipient.originalRecipient ?? "rfc822;\(recipient.forwardPath)"
        let members = targets.map {
            Recipient($0.mailbox, originalRecipient: original, notify: recipient.notify, action: $0.action)
        }
        return .expand(members, refused: expansion.refusals.map(\.error))
    }

    private func deliver(_ mailbox: Mailbox, by action: Action, _ envelope: Envelope) -> RouteDecision {
        switch action.method {
        case .maildir:
            return .deliver(
                NextHop(place: .agent(socket: configuration.agentSocket, action: action.name)),
                reversePath: envelope.reversePath, action: action.name)
        case .lmtp(let destination, let rcptTo):
            guard let place = Self.lmtpPlace(destination) else {
                return .refuse(AliasError(code: 451, status: .configuration, text: "\(destination) is no LMTP server"))
            }
            let nextHop = NextHop(place: place, sendsUserNames: !rcptTo)
            return .deliver(nextHop, reversePath: envelope.reversePath, action: action.name)
        case .relay(let relay):
            return .deliver(
                nextHop(mailbox, relay), reversePath: reversePath(relay, envelope), action: action.name)
        case .expandOnly, .forwardOnly:
            let status = EnhancedStatusCode(5, 1, 1)
            return .refuse(AliasError(code: 550, status: status, text: "\(mailbox) has no mailbox here"))
        }
    }

    private func nextHop(_ mailbox: Mailbox, _ relay: Action.Relay) -> NextHop {
        let place: NextHop.Place =
            relay.hosts.isEmpty ? .domain(mailbox.domain.lowercased()) : .hosts(relay.hosts)
        return NextHop(place: place, helo: relay.helo, sources: relay.sources)
    }

    /// `mail-from` replaces a reverse-path, or with `@domain` its domain; never the null one: a DSN must not become
    /// mail with a sender.
    private func reversePath(_ relay: Action.Relay, _ envelope: Envelope) -> ReversePath {
        guard let mailFrom = relay.mailFrom, let sender = envelope.reversePath.mailbox else {
            return envelope.reversePath
        }
        let new =
            mailFrom.hasPrefix("@")
            ? Mailbox(localPart: sender.localPart, domain: String(mailFrom.dropFirst())) : Mailbox(mailFrom)
        return new.map(ReversePath.mailbox) ?? envelope.reversePath
    }

    /// `/path`, `host:port` or `[address]:port`.
    static func lmtpPlace(_ text: String) -> NextHop.Place? {
        if text.hasPrefix("/") { return .lmtpSocket(text) }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        return host.isEmpty ? nil : .lmtpHost(String(host), port: port)
    }
}

extension Action {
    fileprivate var isRelay: Bool { if case .relay = method { true } else { false } }
}

extension EnhancedStatusCode {
    /// RFC 3463 X.3.5: system incorrectly configured, for now.
    static let configuration = EnhancedStatusCode(4, 3, 5)
}

extension AliasError {
    static let vanished = AliasError(
        code: 451, status: .configuration, text: "the action of this recipient is no longer configured")
}
