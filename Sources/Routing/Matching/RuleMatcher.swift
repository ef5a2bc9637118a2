// Owns: which rule holds for a recipient. Refuses: opening tables; lookups are handed in.

import MailModel

/// How matching ended.
public enum MatchOutcome: Hashable, Sendable {
    /// The first rule that holds, and its place in the list of rules.
    case rule(Rule, index: Int)
    /// None holds: the recipient is refused.
    case none
    /// A table could not be asked and the answer depends on it.
    case temporaryFailure(String)
}

/// The lookups that rules need; TableSet is one.
public protocol MatchLookups {
    func domain(_ table: String, _ domain: String) -> LookupResult<TableEntry>
    func networkAddress(_ table: String, _ address: IPAddress) -> LookupResult<TableEntry>
    func mailAddress(_ table: String, _ mailbox: Mailbox) -> LookupResult<TableEntry>
    func member(_ table: String, _ key: String) -> LookupResult<TableEntry>
    func expression(_ table: String, matching text: String) -> LookupResult<TableEntry>
}

/// What a rule came to for one recipient.
public struct RuleVerdict: Hashable, Sendable {
    public enum Outcome: Hashable, Sendable {
        case holds
        /// The first condition that does not.
        case fails(Rule.Condition)
        /// A condition could not be asked, and none of the others fails.
        case unknown(String)
    }
    public var rule: Rule
    public var outcome: Outcome
}

extension TableSet: MatchLookups {}
extension RuleMatcher: Sendable where Lookups: Sendable {}

public struct RuleMatcher<Lookups: MatchLookups> {
    private let rules: [Rule]
    private let lookups: Lookups
    /// The machine's names in lower case, beside `localhost`.
    private let localNames: Set<String>
    /// The expressions written in rules, compiled.
    private let patterns: [String: Pattern]

    public init(rules: [Rule], localNames: [String], lookups: Lookups) {
        (self.rules, self.lookups) = (rules.map(\.completed), lookups)
        self.localNames = Set(localNames.map { $0.lowercased() } + ["localhost"])
        patterns = rules.patterns
    }

    public func firstMatch(_ facts: MatchFacts) -> MatchOutcome {
        for (index, rule) in rules.enumerated() {
            switch verdict(rule, facts) {
            case .holds: return .rule(rule, index: index)
            case .fails: continue
            case .unknown(let why): return .temporaryFailure(why)
            }
        }
        return .none
    }

    /// What each rule came to, up to the one that decides.
    public func explain(_ facts: MatchFacts) -> [RuleVerdict] {
        var verdicts: [RuleVerdict] = []
        for rule in rules {
            let outcome = verdict(rule, facts)
            verdicts.append(RuleVerdict(rule: rule, outcome: outcome))
            guard case .fails = outcome else { break }
        }
        return verdicts
    }

    /// A condition that fails settles the rule, even when another could not be asked.
    private func verdict(_ rule: Rule, _ facts: MatchFacts) -> RuleVerdict.Outcome {
        var outcome = RuleVerdict.Outcome.holds
        for condition in rule.conditions {
            let value = holds(condition.test, facts)
            switch condition.negated ? value.negated : value {
            case .yes: continue
            case .no: return .fails(condition)
            case .unknown(let why): outcome = .unknown(why)
            }
        }
        return outcome
    }

    private enum Truth {
        case yes, no
        case unknown(String)

        init(_ value: Bool) { self = value ? .yes : .no }

        init<Value>(_ result: LookupResult<Value>) {
            switch result {
            case .found: self = .yes
            case .notFound: self = .no
            case .temporaryFailure(let why): self = .unknown(why)
            }
        }

        var negated: Truth {
            switch self {
            case .yes: .no
            case .no: .yes
            case .unknown: self
            }
        }
    }

    private func holds(_ test: Rule.Test, _ facts: MatchFacts) -> Truth {
        switch test {
        case .fromAny, .forAny: return .yes
        case .fromLocal: return Truth(facts.isLocal)
        case .fromSocket: return Truth(facts.client == .local)
        case .fromAuthenticated: return Truth(facts.isAuthenticated)
        case .tls: return Truth(facts.isTLS)
        case .forLocal: return Truth(localNames.contains(facts.recipient.domain.lowercased()))
        case .tag(let reference): return facts.tag.map { member(reference, $0) } ?? .no
        case .fromUser(let reference): return facts.user.map { member(reference, $0) } ?? .no
        case .helo(let reference): return facts.helo.map { domain(reference, $0) } ?? .no
        case .fromName(let reference): return name(reference, facts.clientName)
        case .fromSource(let reference): return source(reference, facts.client)
        case .forDomain(let reference): return domain(reference, facts.recipient.domain)
        case .forRecipient(let reference): return mailAddress(reference, facts.recipient)
        case .fromMailFrom(let reference): return sender(reference, facts.reversePath)
        }
    }

    // MARK: What references are asked

    private func name(_ reference: TableReference?, _ name: MatchFacts.ClientName) -> Truth {
        switch name {
        case .none: .no
        case .unknown(let why): .unknown(why)
        case .name(let name): reference.map { domain($0, name) } ?? .yes
        }
    }

    private func source(_ reference: TableReference, _ client: MatchFacts.Client) -> Truth {
        guard case .address(let address) = client else { return .no }
        switch reference {
        case .named(let table): return Truth(lookups.networkAddress(table, address))
        case .values(let values): return Truth(values.contains { Network($0)?.contains(address) ?? false })
        case .namedExpressions, .expressions: return matches(reference, "\(address)")
        }
    }

    private func domain(_ reference: TableReference, _ domain: String) -> Truth {
        switch reference {
        case .named(let table): Truth(lookups.domain(table, domain))
        case .values(let values): contains(values, DomainPattern.keys(domain))
        case .namedExpressions, .expressions: matches(reference, domain)
        }
    }

    private func mailAddress(_ reference: TableReference, _ mailbox: Mailbox) -> Truth {
        switch reference {
        case .named(let table): Truth(lookups.mailAddress(table, mailbox))
        case .values(let values): contains(values, MailAddressPattern.keys(mailbox))
        case .namedExpressions, .expressions: matches(reference, "\(mailbox)")
        }
    }

    /// The null reverse-path is no address: only a value written `<>`, or an expression for an empty text, names it.
    private func sender(_ reference: TableReference, _ path: ReversePath) -> Truth {
        if let mailbox = path.mailbox { return mailAddress(reference, mailbox) }
        switch reference {
        case .named: return .no
        case .values(let values): return Truth(values.contains("<>"))
        case .namedExpressions, .expressions: return matches(reference, "")
        }
    }

    private func member(_ reference: TableReference, _ text: String) -> Truth {
        switch reference {
        case .named(let table): Truth(lookups.member(table, text))
        case .values(let values): Truth(values.contains(text))
        case .namedExpressions, .expressions: matches(reference, text)
        }
    }

    private func matches(_ reference: TableReference, _ text: String) -> Truth {
        switch reference {
        case .namedExpressions(let table): Truth(lookups.expression(table, matching: text))
        case .expressions(let texts): Truth(texts.contains { patterns[$0]?.matches(text) ?? false })
        case .named, .values: .no
        }
    }

    private func contains(_ values: [String], _ keys: [String]) -> Truth {
        let keys = Set(keys)
        return Truth(values.contains { keys.contains($0.lowercased()) })
    }
}

extension Rule {
    /// The grammar writes out what a rule leaves open; a rule made by hand is held to the same: no `from` is local.
    fileprivate var completed: Rule {
        var rule = self
        if !conditions.contains(where: \.test.isOrigin) { rule.conditions.append(.init(.fromLocal)) }
        if !conditions.contains(where: \.test.isDestination) { rule.conditions.append(.init(.forLocal)) }
        return rule
    }
}

extension [Rule] {
    /// The expressions written in them, compiled. The grammar has refused those that can't be.
    fileprivate var patterns: [String: Pattern] {
        var patterns: [String: Pattern] = [:]
        for case .expressions(let texts) in flatMap(\.conditions).compactMap(\.test.reference) {
            for text in texts where patterns[text] == nil { patterns[text] = try? Pattern(text) }
        }
        return patterns
    }
}
