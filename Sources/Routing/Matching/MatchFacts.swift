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
    public var client: Client
    public var isAuthenticated: Bool
    /// `tag` of the listener.
    public var tag: String?
    public var reversePath: ReversePath
    public var recipient: Mailbox

    public init(
        client: Client, isAuthenticated: Bool = false, tag: String? = nil, reversePath: ReversePath, recipient: Mailbox
    ) {
        (self.client, self.isAuthenticated, self.tag) = (client, isAuthenticated, tag)
        (self.reversePath, self.recipient) = (reversePath, recipient)
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
        }
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
