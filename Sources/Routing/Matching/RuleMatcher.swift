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
}

extension TableSet: MatchLookups {}
extension RuleMatcher: Sendable where Lookups: Sendable {}

public struct RuleMatcher<Lookups: MatchLookups> {
    private let rules: [Rule]
    private let lookups: Lookups
    /// The machine's names in lower case, beside `localhost`.
    private let localNames: Set<String>

    public init(rules: [Rule], localNames: [String], lookups: Lookups) {
        (self.rules, self.lookups) = (rules, lookups)
        self.localNames = Set(localNames.map { $0.lowercased() } + ["localhost"])
    }

    public func firstMatch(_ facts: MatchFacts) -> MatchOutcome {
        for (index, rule) in rules.enumerated() {
            switch holds(rule, facts) {
            case .yes: return .rule(rule, index: index)
            case .no: continue
            case .unknown(let why): return .temporaryFailure(why)
            }
        }
        return .none
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

    /// A condition that fails settles the rule, even when another could not be asked.
    private func holds(_ rule: Rule, _ facts: MatchFacts) -> Truth {
        var truth = Truth.yes
        for condition in Self.completed(rule.conditions) {
            let value = holds(condition.test, facts)
            switch condition.negated ? value.negated : value {
            case .yes: continue
            case .no: return .no
            case .unknown(let why): truth = .unknown(why)
            }
        }
        return truth
    }

    /// The grammar writes out what a rule leaves open; a rule made by hand is held to the same: no `from` is local.
    private static func completed(_ conditions: [Rule.Condition]) -> [Rule.Condition] {
        var (from, to) = (false, false)
        for condition in conditions {
            switch condition.test {
            case .fromAny, .fromLocal, .fromSource, .fromMailFrom, .fromAuthenticated: from = true
            case .forAny, .forLocal, .forDomain, .forRecipient: to = true
            case .tag: break
            }
        }
        return conditions + (from ? [] : [.init(.fromLocal)]) + (to ? [] : [.init(.forLocal)])
    }

    private func holds(_ test: Rule.Test, _ facts: MatchFacts) -> Truth {
        switch test {
        case .fromAny, .forAny: return .yes
        case .fromLocal: return Truth(facts.isLocal)
        case .fromAuthenticated: return Truth(facts.isAuthenticated)
        case .tag(let tag): return Truth(facts.tag == tag)
        case .forLocal: return Truth(localNames.contains(facts.recipient.domain.lowercased()))
        case .fromSource(let reference): return source(reference, facts.client)
        case .forDomain(let reference): return domain(reference, facts.recipient.domain)
        case .forRecipient(let reference): return mailAddress(reference, facts.recipient)
        case .fromMailFrom(let reference):
            // The null reverse-path is no address; only a value written `<>` names it.
            guard let mailbox = facts.reversePath.mailbox else {
                if case .values(let values) = reference { return Truth(values.contains("<>")) }
                return .no
            }
            return mailAddress(reference, mailbox)
        }
    }

    private func source(_ reference: TableReference, _ client: MatchFacts.Client) -> Truth {
        guard case .address(let address) = client else { return .no }
        switch reference {
        case .named(let table): return Truth(lookups.networkAddress(table, address))
        case .values(let values): return Truth(values.contains { Network($0)?.contains(address) ?? false })
        }
    }

    private func domain(_ reference: TableReference, _ domain: String) -> Truth {
        switch reference {
        case .named(let table): return Truth(lookups.domain(table, domain))
        case .values(let values): return contains(values, DomainPattern.keys(domain))
        }
    }

    private func mailAddress(_ reference: TableReference, _ mailbox: Mailbox) -> Truth {
        switch reference {
        case .named(let table): return Truth(lookups.mailAddress(table, mailbox))
        case .values(let values): return contains(values, MailAddressPattern.keys(mailbox))
        }
    }

    private func contains(_ values: [String], _ keys: [String]) -> Truth {
        let keys = Set(keys)
        return Truth(values.contains { keys.contains($0.lowercased()) })
    }
}
