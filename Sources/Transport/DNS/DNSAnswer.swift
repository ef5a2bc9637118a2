// Owns: what a DNS server answered, as a value. Refuses: asking (DNSQuestion), choosing hosts (MailRoute).

/// One record of the answer section.
public struct DNSRecord: Hashable, Sendable {
    public enum Value: Hashable, Sendable {
        /// The host without final dot; empty for the root, which is the Null MX (RFC 7505).
        case mx(preference: UInt16, host: String)
        /// Numeric text.
        case a(String)
        case aaaa(String)
        case cname(String)
        /// The name of an address.
        case ptr(String)
    }
    /// Whose record this is, without final dot.
    public var owner: String
    /// Seconds.
    public var ttl: UInt32
    public var value: Value

    public init(owner: String, ttl: UInt32, value: Value) {
        (self.owner, self.ttl, self.value) = (owner, ttl, value)
    }
}

/// The answer to one question: a name and a type.
public struct DNSAnswer: Hashable, Sendable {
    public enum Outcome: Hashable, Sendable {
        /// The name exists; there may still be no record of the type asked for.
        case answered
        /// NXDOMAIN.
        case noSuchName
        /// SERVFAIL, REFUSED and the like from every server.
        case serverFailure
        /// No server answered in time.
        case noAnswer
        /// An answer that can't be read.
        case malformed
        /// The name can't be asked for at all: a label or the whole is too long.
        case badName
        /// This machine's resolver can't be set up.
        case noResolver
    }
    public var outcome: Outcome
    public var records: [DNSRecord]
    /// Seconds that a "no" may be kept (RFC 2308); 0 when the server did not say.
    public var negativeTTL: UInt32

    public init(_ outcome: Outcome, records: [DNSRecord] = [], negativeTTL: UInt32 = 0) {
        (self.outcome, self.records, self.negativeTTL) = (outcome, records, negativeTTL)
    }

    /// Whether asking again later may give another answer.
    public var isTemporary: Bool {
        switch outcome {
        case .answered, .noSuchName, .badName: false
        case .serverFailure, .noAnswer, .malformed, .noResolver: true
        }
    }

    /// The records that belong to `name`, CNAMEs of the same answer followed; longer chains than eight are loops.
    public func records(of name: String) -> [DNSRecord] {
        var owner = name.lowercased()
        for _ in 0..<8 {
            let own = records.filter { $0.owner.lowercased() == owner }
            guard case .cname(let target) = own.first?.value else { return own }
            owner = target.lowercased()
        }
        return []
    }

    /// How long the answer may be kept, seconds; nil when it must not be.
    var lifetime: UInt32? {
        guard !isTemporary else { return nil }
        let shortest = records.map(\.ttl).min() ?? negativeTTL
        return shortest == 0 ? nil : min(shortest, 86400)
    }

    /// For sentences: "the name does not exist".
    var explanation: String {
        switch outcome {
        case .answered: "there is no record of this kind"
        case .noSuchName: "the name does not exist"
        case .serverFailure: "the name server reported a failure"
        case .noAnswer: "no name server answered in time"
        case .malformed: "the name server's answer can't be read"
        case .badName: "the name is not one that DNS can hold"
        case .noResolver: "the resolver can't be set up, see resolv.conf"
        }
    }
}
