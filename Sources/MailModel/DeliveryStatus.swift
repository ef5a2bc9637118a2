// Owns: what became of a recipient, and one attempt at it. Refuses: when to try again (RetrySchedule), how it is kept
// (Journal), how it is told (logs, DSN).

/// Where a recipient stands. `pending` and `deferred` are tried again; the rest is final.
public enum DeliveryStatus: UInt8, Hashable, Sendable {
    case pending = 0
    case deferred = 1
    case delivered = 2
    case failed = 3
    /// Replaced by the recipients an alias expanded to.
    case expanded = 4
    /// Taken out by an operator, without a DSN.
    case removed = 5

    public var isFinal: Bool {
        switch self {
        case .pending, .deferred: false
        case .delivered, .failed, .expanded, .removed: true
        }
    }
}

/// How one attempt ended for one recipient; also the words of the log's `result=`.
public enum AttemptResult: UInt8, Hashable, Sendable, CustomStringConvertible {
    case ok = 0
    case temporaryFailure = 1
    case permanentFailure = 2

    public var description: String {
        switch self {
        case .ok: "Ok"
        case .temporaryFailure: "TempFail"
        case .permanentFailure: "PermFail"
        }
    }
}

/// One attempt at one recipient, kept until the message is final.
public struct Attempt: Hashable, Sendable {
    public var time: Timestamp
    public var result: AttemptResult
    public var status: EnhancedStatusCode
    /// The peer's last reply, or our own sentence when no peer spoke; printable, one line, at most 1,000 octets.
    public var reply: String
    /// Whom we spoke to, `host/address`; empty when nobody was reached.
    public var relay: String
    /// The local address of the connection; empty when there was none.
    public var source: String

    public init(
        time: Timestamp, result: AttemptResult, status: EnhancedStatusCode, reply: String, relay: String = "",
        source: String = ""
    ) {
        self.time = time
        self.result = result
        self.status = status
        self.reply = reply
        self.relay = relay
        self.source = source
    }
}
