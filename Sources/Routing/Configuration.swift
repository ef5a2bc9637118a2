// Owns: what a configuration says, as values that every program shares. Refuses: reading text (Grammar), opening
// tables (Tables), deciding (Matching, Expansion).

import MailModel

/// A whole pouch.conf, checked: every name that is used is defined.
public struct Configuration: Hashable, Sendable {
    /// The file it came from; nil for the built-in default.
    public var path: String?
    /// `queue directory`; absolute.
    public var queueDirectory: String
    /// `queue ttl`: how long a message is tried before its sender gets a DSN.
    public var queueTTL: Duration = .seconds(4 * 86400)
    /// `queue compression`: contents are compressed where it pays.
    public var queueCompression = false
    /// `queue encryption`; nil stores in clear.
    public var queueEncryption: QueueEncryption?
    /// Where passphrases stand in its files; none when they come from elsewhere.
    public internal(set) var literalKeys: [LiteralKeyPlace] = []
    /// `mta retry`: pauses after the first, second... failed attempt; the last repeats.
    public var retryPauses: [Duration] = [.seconds(60), .seconds(300), .seconds(900), .seconds(3600), .seconds(14400)]
    /// `smtp max-message-size`, octets.
    public var maxMessageSize = 35 << 20
    public var maxRecipients = 1000
    public var maxMails = 100
    /// `smtp sub-addr-delim`.
    public var subaddressDelimiter: Character = "+"
    /// `resolver ADDRESS port N`; nil asks the servers of resolv.conf.
    public var resolver: Resolver?
    /// `mta prefer`.
    public var prefersIPv4 = false
    /// `agent socket`; absolute.
    public var agentSocket: String
    public var superviseUsers: SuperviseUsers = .accounts(listener: "pouchd", relay: "pouchq")
    /// `bounce warn-interval`: ages at which the sender hears that a message still waits; at most four, growing.
    public var bounceWarnIntervals: [Duration] = [.seconds(4 * 3600)]
    public var listeners: [Listener] = []
    public var tables: [String: TableDefinition] = [:]
    /// Where each table was defined, for mail-expand and for errors about its entries.
    public var tableOrigins: [String: TableOrigin] = [:]
    public var actions: [String: Action] = [:]
    /// In the order of the file; the first that matches wins.
    public var rules: [Rule] = []

    public init(queueDirectory: String, agentSocket: String) {
        self.queueDirectory = queueDirectory
        self.agentSocket = agentSocket
    }

    public struct Resolver: Hashable, Sendable {
        public var address: String
        public var port: UInt16
        public init(address: String, port: UInt16 = 53) { (self.address, self.port) = (address, port) }
    }

    public enum SuperviseUsers: Hashable, Sendable {
        /// `supervise user none`: every child keeps the starter's uid.
        case none
        case accounts(listener: String, relay: String)
    }
}

/// Where a table stands in the configuration.
public struct TableOrigin: Hashable, Sendable {
    public var file: String
    public var line: Int
    /// The line of each entry written in place, in order; empty for a file.
    public var entryLines: [Int]

    public init(file: String, line: Int, entryLines: [Int] = []) {
        (self.file, self.line, self.entryLines) = (file, line, entryLines)
    }
}

/// `listen on`.
public struct Listener: Hashable, Sendable {
    public enum Place: Hashable, Sendable {
        /// An address as text; port 25 unless given.
        case internet(address: String, port: UInt16)
    }
    public var place: Place
    /// `hostname`; nil takes the machine's name.
    public var hostname: String?
    public var tag: String?
    /// Whether a machine without this address may go on without it: `::1` of `listen on lo`, where IPv6 may be off.
    public var mayBeAbsent = false

    public init(place: Place, hostname: String? = nil, tag: String? = nil, mayBeAbsent: Bool = false) {
        (self.place, self.hostname, self.tag, self.mayBeAbsent) = (place, hostname, tag, mayBeAbsent)
    }
}

/// `table NAME ...`: where its entries are.
public enum TableDefinition: Hashable, Sendable {
    /// `{ a, b }`: keys without values.
    case list([String])
    /// `{ a = b }`, in the order of the file.
    case mapping([Entry])
    /// `file:/path` (or a bare path).
    case file(String)
    /// `db:/path`: a constant database.
    case database(String)
    /// `proc:COMMAND`, `TYPE:CONFIGURATION`.
    case program(TableProgram)
    /// `getpwnam`: the system's accounts.
    case systemUsers

    public struct Entry: Hashable, Sendable {
        public var key: String
        public var value: String
        public init(key: String, value: String) { (self.key, self.value) = (key, value) }
    }
}

/// `action NAME ...`.
public struct Action: Hashable, Sendable {
    public enum Method: Hashable, Sendable {
        /// nil is `~/Maildir`; `%{...}` not yet expanded.
        case maildir(path: String?)
        /// `lmtp DEST [rcpt-to]`: `host:port` or the absolute path of a socket.
        case lmtp(destination: String, rcptTo: Bool)
        case relay(Relay)
        case expandOnly
        case forwardOnly
    }
    public var name: String
    public var method: Method
    /// `alias <t>`.
    public var aliasTable: String?
    /// `virtual <t>`.
    public var virtualTable: String?
    /// `userbase <t>`.
    public var userTable: String?
    /// `user U`: deliver as this user, whoever the recipient is.
    public var user: String?
    /// `ttl`, over `queue ttl`.
    public var ttl: Duration?

    public init(name: String, method: Method) { (self.name, self.method) = (name, method) }

    public struct Relay: Hashable, Sendable {
        /// `host URL`, in order; empty goes by MX.
        public var hosts: [RelayHost] = []
        /// `helo NAME`.
        public var helo: String?
        /// `src ADDR`, in turn.
        public var sources: [String] = []
        /// `mail-from ADDR`.
        public var mailFrom: String?
        public init() {}
    }
}

/// `[proto://]host[:port]` (`label@` comes with `auth`).
public struct RelayHost: Hashable, Sendable {
    public enum Scheme: String, Hashable, Sendable { case smtp = "smtp", smtpNoTLS = "smtp+notls", lmtp = "lmtp" }
    public var scheme: Scheme
    public var host: String
    public var port: UInt16

    public init(scheme: Scheme = .smtp, host: String, port: UInt16 = 25) {
        (self.scheme, self.host, self.port) = (scheme, host, port)
    }
}

/// `match ... action NAME` or `match ... reject`: every condition must hold. A rule that says nothing about `from` means
/// `from local`, one that says nothing about `for` means `for local`.
public struct Rule: Hashable, Sendable {
    public enum Outcome: Hashable, Sendable {
        case action(String)
        case reject
    }
    /// A condition of the rule, `!` before it or not.
    public struct Condition: Hashable, Sendable {
        public var test: Test
        public var negated: Bool
        public init(_ test: Test, negated: Bool = false) { (self.test, self.negated) = (test, negated) }
    }
    public enum Test: Hashable, Sendable {
        case fromAny
        /// Submitted here: mail-enqueue, the loopback addresses, a Unix socket.
        case fromLocal
        /// Submitted by mail-enqueue or over a Unix socket; no address of any network.
        case fromSocket
        case fromSource(TableReference)
        /// `from rdns`: the client's address has a name in DNS, one of these; nil takes any name.
        case fromName(TableReference?)
        case fromMailFrom(TableReference)
        case fromAuthenticated
        /// Authenticated as one of these.
        case fromUser(TableReference)
        case forAny
        /// `localhost` and the machine's own name.
        case forLocal
        case forDomain(TableReference)
        case forRecipient(TableReference)
        /// `tag` of the listener.
        case tag(TableReference)
        /// What the client called itself.
        case helo(TableReference)
        /// The session is protected by TLS.
        case tls
    }
    public var conditions: [Condition]
    public var outcome: Outcome
    /// Line of the file, for mail-expand and errors.
    public var line: Int
    /// The file of that line; nil for the built-in default.
    public var file: String?

    public init(conditions: [Condition], outcome: Outcome, line: Int, file: String? = nil) {
        (self.conditions, self.outcome, self.line, self.file) = (conditions, outcome, line, file)
    }
}

/// `<name>`, or a value written in place, which is a list of one; with `regex` before it, expressions of regex(7).
public enum TableReference: Hashable, Sendable {
    case named(String)
    case values([String])
    case namedExpressions(String)
    case expressions([String])
}
