// Owns: what each condition of a rule is about, and the tables it looks into. Refuses: judging (RuleMatcher).

extension Configuration {
    /// Whether a rule asks what DNS calls a client.
    public var asksForNames: Bool {
        rules.flatMap(\.conditions).contains { if case .fromName = $0.test { true } else { false } }
    }
}

extension Rule.Test {
    /// The values that the test compares with, and how they read.
    private var values: (reference: TableReference, service: TableService)? {
        switch self {
        case .fromSource(let reference): (reference, .netaddr)
        case .fromName(let reference): reference.map { ($0, .domain) }
        case .fromMailFrom(let reference), .forRecipient(let reference): (reference, .mailaddr)
        case .fromUser(let reference), .tag(let reference): (reference, .string)
        case .forDomain(let reference), .helo(let reference): (reference, .domain)
        case .fromAny, .fromLocal, .fromSocket, .fromAuthenticated, .forAny, .forLocal, .tls: nil
        }
    }

    var reference: TableReference? { values?.reference }

    /// The table that the test looks into, and for what.
    public var tableUse: (table: String, service: TableService)? {
        switch values?.reference {
        case .named(let table): values.map { (table, $0.service) }
        case .namedExpressions(let table): (table, .regex)
        case .values, .expressions, nil: nil
        }
    }

    /// Whether it is about where mail comes from, as `from` says; a rule without one is `from local`.
    var isOrigin: Bool {
        switch self {
        case .fromAny, .fromLocal, .fromSocket, .fromSource, .fromName, .fromMailFrom, .fromAuthenticated, .fromUser:
            true
        case .forAny, .forLocal, .forDomain, .forRecipient, .tag, .helo, .tls: false
        }
    }

    /// Whether it is about where mail goes, as `for` says.
    var isDestination: Bool {
        switch self {
        case .forAny, .forLocal, .forDomain, .forRecipient: true
        case .fromAny, .fromLocal, .fromSocket, .fromSource, .fromName, .fromMailFrom, .fromAuthenticated, .fromUser,
            .tag, .helo, .tls:
            false
        }
    }
}
