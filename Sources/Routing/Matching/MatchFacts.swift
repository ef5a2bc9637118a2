// Owns: what rules look at. Refuses: where the facts come from.

import MailModel

/// One recipient of one message, as rules see it.
public struct MatchFacts: Hashable, Sendable {
    public enum Client: Hashable, Sendable {
        /// mail-enqueue, a Unix socket, a DSN of our own, or an address that an alias gave.
        case local
        case address(IPAddress)
        /// Something that is no address: in no network, and not local.
        case unknown
    }
    /// What DNS calls the client (RFC 5321 §4.4 TCP-info), as `from rdns` asks.
    public enum ClientName: Hashable, Sendable {
        /// There is none, or the client has no address.
        case none
        case name(String)
        /// Not asked for, or DNS could not say.
        case unknown(String)
    }
    public var client: Client
    /// Looked up by whoever holds the session, when a rule asks for it.
    public var clientName: ClientName
    public var isAuthenticated: Bool
    /// Who authenticated.
    public var user: String?
    /// `tag` of the listener.
    public var tag: String?
    /// What the client said in HELO or EHLO; nil when it said nothing.
    public var helo: String?
    public var isTLS: Bool
    public var reversePath: ReversePath
    public var recipient: Mailbox

    public init(
        client: Client, isAuthenticated: Bool = false, tag: String? = nil, reversePath: ReversePath, recipient: Mailbox
    ) {
        (self.client, self.isAuthenticated, self.tag) = (client, isAuthenticated, tag)
        (self.reversePath, self.recipient) = (reversePath, recipient)
        (user, helo, isTLS) = (nil, nil, false)
        clientName = client == .local ? .none : .unknown("the client's name was not looked up")
    }

    public init(origin: Origin, reversePath: ReversePath, recipient: Mailbox) {
        switch origin {
        case .submission, .notification:
            self.init(client: .local, reversePath: reversePath, recipient: recipient)
        case .session(let session):
            let client =
                session.clientAddress == "local" ? .local : IPAddress(session.clientAddress).map(Client.address)
            self.init(
                client: client ?? .unknown, isAuthenticated: session.user != nil, tag: session.tag,
                reversePath: reversePath, recipient: recipient)
            (user, isTLS) = (session.user, session.tls)
            helo = session.helo.isEmpty ? nil : session.helo
        }
    }

    /// The same message for an address that an alias gave: mail from here, whoever sent it.
    func forwarded(to recipient: Mailbox) -> MatchFacts {
        var facts = self
        (facts.recipient, facts.client, facts.clientName) = (recipient, .local, .none)
        return facts
    }

    /// Whether `from local` holds: submitted here, or over a loopback address.
    public var isLocal: Bool {
        switch client {
        case .local: true
        case .address(let address): address.isLoopback
        case .unknown: false
        }
    }
}
