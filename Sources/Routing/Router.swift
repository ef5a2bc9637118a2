// Owns: a configuration with its tables open: matching and expanding in one place. Refuses: delivering, DNS.

import MailModel

public struct Router: Sendable {
    public let configuration: Configuration
    public let tables: TableSet
    /// The machine's names and the host names of listeners, for `for local`; `localhost` always is one. A listener's
    /// own name is where its `<postmaster>` lives (RFC 5321 §4.5.1).
    public let localNames: [String]
    private let matcher: RuleMatcher<TableSet>
    private let readInclude: @Sendable (String) throws(UnreadableFile) -> String
    private let timeLimit: Duration

    /// - Parameters:
    ///   - timeLimit: for one address.
    ///   - readInclude: gives the text of an `:include:` file.
    public init(
        configuration: Configuration, tables: TableSet, localNames: [String],
        timeLimit: Duration = Expander.timeLimit,
        readInclude: @escaping @Sendable (String) throws(UnreadableFile) -> String = IncludeFile.read
    ) {
        (self.configuration, self.tables) = (configuration, tables)
        self.localNames = localNames + configuration.listeners.compactMap(\.hostname)
        matcher = RuleMatcher(rules: configuration.rules, localNames: self.localNames, lookups: tables)
        (self.readInclude, self.timeLimit) = (readInclude, timeLimit)
    }

    /// The same rules over other tables of the same names.
    func with(tables: TableSet) -> Router { Router(self, tables: tables) }

    private init(_ router: Router, tables: TableSet) {
        (configuration, localNames, readInclude) = (router.configuration, router.localNames, router.readInclude)
        timeLimit = router.timeLimit
        self.tables = tables
        matcher = RuleMatcher(rules: configuration.rules, localNames: localNames, lookups: tables)
    }

    /// The first rule that holds for one recipient.
    public func match(_ facts: MatchFacts) -> MatchOutcome {
        matcher.firstMatch(facts)
    }

    /// Why the rules come to what `match` says: each rule up to the one that decides.
    public func explain(_ facts: MatchFacts) -> [RuleVerdict] { matcher.explain(facts) }

    /// The same for an address that an alias gave.
    public func explain(_ facts: MatchFacts, forwardedTo mailbox: Mailbox) -> [RuleVerdict] {
        matcher.explain(facts.forwarded(to: mailbox))
    }

    /// The tree of the facts' recipient, its rule included. Addresses that aliases give are matched again, as from here.
    public func expand(_ facts: MatchFacts) -> Expansion {
        run(Expander(facts.recipient, delimiter: configuration.subaddressDelimiter), facts)
    }

    /// The tree of the facts' recipient under an action that is known already.
    public func expand(_ facts: MatchFacts, action: Action) -> Expansion {
        run(Expander(facts.recipient, action: action, delimiter: configuration.subaddressDelimiter), facts)
    }

    private func run(_ start: Expander, _ facts: MatchFacts) -> Expansion {
        var expander = start
        let end = ContinuousClock.now.advanced(by: timeLimit)
        while let question = expander.next() {
            guard ContinuousClock.now < end else {
                expander.giveUp("the address could not be expanded within \(timeLimit.logDescription)")
                break
            }
            expander.answer(answer(question, facts))
        }
        return expander.expansion
    }

    private func answer(_ question: Expander.Question, _ facts: MatchFacts) -> Expander.Answer {
        switch question {
        case .route(let mailbox, let isNested):
            if isNested { return route(facts.forwarded(to: mailbox)) }
            var facts = facts
            facts.recipient = mailbox
            return route(facts)
        case .targets, .user, .include: return tables.answer(question, readInclude)
        }
    }

    private func route(_ facts: MatchFacts) -> Expander.Answer {
        switch match(facts) {
        case .temporaryFailure(let why): return .temporaryFailure(why)
        case .none: return .refused(nil)
        case .rule(let rule, _):
            guard case .action(let name) = rule.outcome else { return .refused(rule) }
            guard let action = configuration.actions[name] else {
                return .temporaryFailure("action \(name) is not defined")
            }
            return .route(action, rule)
        }
    }
}

extension TableSet {
    /// Answers an Expander. Rules are not tables': addresses that an alias gives are the end of their branch.
    func answer(
        _ question: Expander.Question, _ readInclude: (String) throws(UnreadableFile) -> String
    ) -> Expander.Answer {
        switch question {
        case .route: return .route(Action(name: "", method: .relay(Action.Relay())), nil)
        case .targets(let table, let keys):
            switch alias(table, keys: keys) {
            case .found(let found): return .targets(found.value, found.entry)
            case .notFound: return .notFound
            case .temporaryFailure(let why): return .temporaryFailure(why)
            }
        case .user(let table, let name):
            switch userInfo(table, name) {
            case .found: return .exists
            case .notFound: return .notFound
            case .temporaryFailure(let why): return .temporaryFailure(why)
            }
        case .include(let path):
            return include(path, readInclude)
        }
    }

    private func include(
        _ path: String, _ readInclude: (String) throws(UnreadableFile) -> String
    ) -> Expander.Answer {
        let text: String
        do { text = try readInclude(path) } catch {
            return .temporaryFailure("cannot read \(path): \(error.reason)")
        }
        do { return .targets(try IncludeFile.parse(text), nil) } catch {
            return .temporaryFailure("\(path): \(error.sentence)")
        }
    }
}

/// The tree of a recipient under an action, without rules: addresses that aliases give are leaves.
public func expand(
    _ recipient: Mailbox, action: Action, tables: TableSet, delimiter: Character = "+",
    readInclude: (String) throws(UnreadableFile) -> String = IncludeFile.read
) -> Expansion {
    var expander = Expander(recipient, action: action, delimiter: delimiter)
    while let question = expander.next() { expander.answer(tables.answer(question, readInclude)) }
    return expander.expansion
}
