// Owns: one forward-path of an envelope with what its sender asked about DSNs. Refuses: the state of its delivery
// (DeliveryStatus), routing.

/// When the sender wants a DSN for a recipient (RFC 3461 §4.1 NOTIFY). An empty set is NOTIFY=NEVER.
public struct NotifyConditions: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let success = NotifyConditions(rawValue: 1)
    public static let failure = NotifyConditions(rawValue: 2)
    public static let delay = NotifyConditions(rawValue: 4)
}

public struct Recipient: Hashable, Sendable {
    public var forwardPath: Mailbox
    /// ORCPT (RFC 3461 §4.2) as `type;address`, xtext already decoded; nil when none was given.
    public var originalRecipient: String?
    /// NOTIFY; nil when the sender said nothing, which means failure (RFC 3461 §4.1).
    public var notify: NotifyConditions?
    /// The name of the action that routing chose for it; nil while rules have not been asked. The name alone is kept,
    /// so that queued mail follows the configuration of the day.
    public var action: String?

    public init(
        _ forwardPath: Mailbox, originalRecipient: String? = nil, notify: NotifyConditions? = nil, action: String? = nil
    ) {
        self.forwardPath = forwardPath
        self.originalRecipient = originalRecipient
        self.notify = notify
        self.action = action
    }

    public var wantsFailureDSN: Bool { notify?.contains(.failure) ?? true }
    /// RFC 3461 §4.1 leaves it to us when nothing was said: a sender would rather know.
    public var wantsDelayDSN: Bool { notify?.contains(.delay) ?? true }
}
