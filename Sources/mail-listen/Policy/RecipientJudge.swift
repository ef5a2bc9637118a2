// Owns: whether mail for a recipient is taken, by the rules and aliases. Refuses: threads, sockets, the log: it gives a
// verdict. Opens what tables open.

import MailModel
import Routing
import SMTPProtocol

/// What a sender is told of a recipient, and what only the log may know: replies name neither rules nor tables.
struct Verdict: Hashable, Sendable {
    /// nil accepts.
    var reply: Reply?
    /// What an operator should look at; nil when nothing is wrong here.
    var trouble: String?
    /// The action that the rules chose, for the envelope to remember.
    var action: String?

    static let accepted = Verdict()

    static func refused(_ reply: Reply, trouble: String? = nil) -> Verdict { Verdict(reply: reply, trouble: trouble) }
}

struct RecipientJudge: Sendable {
    private var router: Router
    /// Domains at which `postmaster` is ours, in lower case: the machine's names and those of the listeners.
    private let ownDomains: Set<String>
    /// Whether matching reads no file: every table that a rule names is written in the configuration.
    private let matchesInMemory: Bool

    static let denied = Reply(
        550, EnhancedStatusCode(5, 7, 1), "Relaying denied: mail for this address is not taken here")
    static let unknownUser = Reply(550, EnhancedStatusCode(5, 1, 1), "There is no such user here")
    static let notNow = Reply(451, EnhancedStatusCode(4, 3, 5), "The recipient cannot be checked now, try again later")

    init(_ router: Router) {
        self.router = router
        let hostnames = router.configuration.listeners.compactMap(\.hostname)
        ownDomains = Set((router.localNames + hostnames + ["localhost"]).map { $0.lowercased() })
        matchesInMemory = router.configuration.rules.flatMap(\.conditions).allSatisfy { condition in
            condition.test.tableUse.flatMap { router.configuration.tables[$0.table]?.isInMemory } ?? true
        }
    }

    /// The same judge with answers of tables that came meanwhile.
    private init(_ judge: RecipientJudge, _ router: Router) {
        self = judge
        self.router = router
    }

    /// The verdict when memory alone gives it; nil when a file or the system's users must be asked, which may block.
    func verdictFromMemory(_ facts: MatchFacts) -> Verdict? {
        guard matchesInMemory else { return nil }
        let outcome = router.match(facts)
        if let action = action(outcome), !Self.isRelay(action) { return nil }
        return verdict(outcome, facts)
    }

    /// May block, for as long as a directory service likes.
    func verdict(_ facts: MatchFacts) -> Verdict { verdict(router.match(facts), facts) }

    /// Programs of tables are waited for by nobody; files and the system's users block the executor alone.
    func inquire(
        _ facts: MatchFacts, on executor: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void,
        then answer: @escaping @Sendable (Verdict) -> Void
    ) {
        router.inquire(on: executor, { RecipientJudge(self, $0).verdict(facts) }, then: answer)
    }

    private func action(_ outcome: MatchOutcome) -> Action? {
        guard case .rule(let rule, _) = outcome, case .action(let name) = rule.outcome else { return nil }
        return router.configuration.actions[name]
    }

    private static func isRelay(_ action: Action) -> Bool {
        if case .relay = action.method { true } else { false }
    }

    private func verdict(_ outcome: MatchOutcome, _ facts: MatchFacts) -> Verdict {
        switch outcome {
        case .temporaryFailure(let why): return .refused(Self.notNow, trouble: why)
        case .none: return isOwnPostmaster(facts.recipient) ? .accepted : .refused(Self.denied)
        case .rule(let rule, _) where rule.outcome == .reject: return .refused(Self.denied)
        case .rule:
            guard let action = action(outcome) else { return .refused(Self.notNow, trouble: "a rule has no action") }
            var verdict = Verdict.accepted
            if !Self.isRelay(action) { verdict = self.verdict(router.expand(facts, action: action), facts.recipient) }
            verdict.action = action.name
            return verdict
        }
    }

    private func verdict(_ expansion: Expansion, _ recipient: Mailbox) -> Verdict {
        guard let refusal = expansion.refusal,
            let node = expansion.refusals.first(where: { $0.error == refusal })?.node
        else { return .accepted }
        let verdict = Self.verdict(refusal, expansion.nodes[node])
        // RFC 5321 §4.5.1: mail for postmaster is taken, account or not. What an operator said of it in an alias counts.
        let isOurs = verdict.reply != nil && !refusal.isTemporary && Self.isPostmaster(recipient)
        if isOurs, !Self.isOperatorsWord(expansion.nodes[node]) { return Verdict(reply: nil, trouble: verdict.trouble) }
        return verdict
    }

    private static func verdict(_ refusal: AliasError, _ node: Expansion.Node) -> Verdict {
        switch node.leaf {
        case .temporary(let why): return .refused(notNow, trouble: why)
        case .unknownUser: return .refused(unknownUser)
        case .error where isOperatorsWord(node):
            return .refused(Reply(refusal.code, refusal.status, refusal.text))
        case .error, .file, .command, .local, .address, .duplicate, nil:
            // Circles, empty lists, aliases that only a later release can follow: names inside are nobody's business.
            let text = refusal.isTemporary ? "try again later" : "ask its postmaster"
            return .refused(
                Reply(refusal.code, refusal.status, "This address cannot be delivered to, \(text)"),
                trouble: refusal.text)
        }
    }

    /// Whether the refusal was written as `error:CODE text` by whoever owns the alias.
    private static func isOperatorsWord(_ node: Expansion.Node) -> Bool {
        if case .error = node.subject { true } else { false }
    }

    private static func isPostmaster(_ mailbox: Mailbox) -> Bool { mailbox.localPart.lowercased() == "postmaster" }

    private func isOwnPostmaster(_ mailbox: Mailbox) -> Bool {
        Self.isPostmaster(mailbox) && ownDomains.contains(mailbox.domain.lowercased())
    }
}
