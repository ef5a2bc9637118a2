// Owns: the three programs that mail-supervise keeps running, and what differs between them. Refuses: their arguments
// and users; mail-supervise knows those.

/// In the order of their start. All are started at once; the order only decides who comes first.
public enum ServiceRole: CaseIterable, Hashable, Sendable, CustomStringConvertible {
    case agent, relay, listener

    /// How a program takes a new configuration.
    enum Reload {
        /// It reads it again at SIGHUP.
        case hangup
        /// A new one is started on the same sockets; once that is ready, the old one gets SIGTERM and finishes.
        case replacement
    }

    var reload: Reload {
        switch self {
        // The lock on the spool allows one queue runner at a time.
        case .relay: .hangup
        case .agent, .listener: .replacement
        }
    }

    /// No new mail first, then no new attempts, then the agent that the last attempts need.
    static let stopOrder: [ServiceRole] = [.listener, .relay, .agent]

    public var description: String {
        switch self {
        case .agent: "mail-relay --agent"
        case .relay: "mail-relay"
        case .listener: "mail-listen"
        }
    }
}
