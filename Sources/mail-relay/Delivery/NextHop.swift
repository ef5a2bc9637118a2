// Owns: where a message goes next, as a value that destinations are told apart by. Refuses: addresses and connections.

import MailModel
import Routing
import SMTPProtocol

/// Messages with equal next hops can share a connection.
struct NextHop: Hashable, Sendable {
    enum Place: Hashable, Sendable {
        /// The hosts of `action ... relay host`, in order.
        case hosts([RelayHost])
        /// By MX of the domain, lowercase.
        case domain(String)
        /// `action ... lmtp host:port`.
        case lmtpHost(String, port: UInt16)
        /// `action ... lmtp /path`.
        case lmtpSocket(String)
        /// Local delivery by the agent under the action of this name.
        case agent(socket: String, action: String)
    }

    var place: Place
    /// `helo NAME`.
    var helo: String?
    /// `src`, in turn.
    var sources: [String] = []

    /// `lmtp` without `rcpt-to`: RCPT carries the user's name alone.
    var sendsUserNames = false

    /// XACTION for the agent.
    var action: String? {
        if case .agent(_, let action) = place { action } else { nil }
    }

    /// What operators call it.
    var name: String {
        switch place {
        case .hosts(let hosts): hosts.map { "\($0.host):\($0.port)" }.joined(separator: ",")
        case .domain(let domain): domain
        case .lmtpHost(let host, let port): "\(host):\(port)"
        case .lmtpSocket(let path): path
        case .agent: "local"
        }
    }

    var isLocal: Bool {
        if case .agent = place { true } else { false }
    }
}

extension RelayHost {
    var flavour: ServerConfiguration.Flavour { scheme == .lmtp ? .lmtp : .smtp }
}

/// A message for some of its recipients at one next hop: one transaction.
struct Job: Sendable {
    var id: QueueID
    var nextHop: NextHop
    var mail: OutgoingMail
    /// The recipients' numbers, in the order of `mail.recipients`.
    var numbers: [Int]
    var content: JobContent
}

/// What became of a job.
struct JobResult: Sendable {
    var job: Job
    /// One for each recipient, in order.
    var results: [RecipientResult]
    /// `host/address`; empty when nobody was reached.
    var relay = ""
    /// Our address of the connection; empty when there was none.
    var source = ""
    /// Names the session in the log.
    var session: UInt64
    /// Still good for another transaction.
    var connection: OpenConnection?
    /// No connection came about: the next hop's other mail need not try either.
    var isUnreachable = false
    /// The content turned out damaged: the message goes to quarantine.
    var isDamaged = false
}
