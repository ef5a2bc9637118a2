// Owns: one job from address to result: finding hosts, connecting, one transaction. Refuses: queues, retries, state.

import Glibc
import MailModel
import Routing
import SMTPProtocol
import Synchronization
import Transport

/// A connection with what is to be said about it.
struct OpenConnection: Sendable {
    var connection: SMTPConnection
    var session: UInt64
    /// `host/address`.
    var relay: String
    var messages = 0
}

/// Carries jobs. Shared by all deliveries.
struct Carrier: Sendable {
    /// Addresses tried for one job before it is deferred.
    static let addressLimit = 10
    static let connectTimeout = Duration.seconds(30)

    private(set) var resolver: Resolver
    let threads: NetworkThreads
    let hostname: String
    /// Names of this host that mail by MX must not go to.
    let ownNames: Set<String>
    /// Sources are taken in turn.
    private let turn = Turn()

    init(resolver: Resolver, threads: NetworkThreads, hostname: String) {
        (self.resolver, self.threads, self.hostname) = (resolver, threads, hostname)
        ownNames = [hostname.lowercased()]
    }

    /// A configuration that names another name server gets a resolver of its own. Questions under way at the old one
    /// end as if nobody had answered: their mail is tried again.
    mutating func follow(_ new: Configuration, instead old: Configuration) {
        guard new.resolver != old.resolver || new.prefersIPv4 != old.prefersIPv4 else { return }
        let former = resolver
        resolver = Resolver(new)
        Task { await former.shutdown() }
    }

    /// Delivers over `open` when it still stands, else over a new connection. Never throws: all is in the result.
    func carry(_ job: Job, over open: OpenConnection?) async -> JobResult {
        if let open, open.connection.isReusable {
            let (result, hasBegun) = await deliver(job, over: open)
            // Peers close connections that they find too old or too busy: that says nothing of this message. Once
            // they were given content they may have taken it, and trying at once would make a second copy.
            guard !hasBegun, result.connection == nil, result.isPutOffByConnection else { return result }
        }
        switch await connect(job.nextHop) {
        case .success(let open): return await deliver(job, over: open).result
        case .failure(let failure):
            return JobResult(
                job: job, results: Array(repeating: failure.result, count: job.numbers.count), relay: failure.relay,
                session: .random(in: .min ... .max), isUnreachable: true)
        }
    }

    private func deliver(_ job: Job, over open: OpenConnection) async -> (result: JobResult, hasBegun: Bool) {
        let connection = open.connection
        let content = ContentReading(job.content)
        let results = await connection.deliver(job.mail, content: content)
        var next = open
        next.messages += 1
        let result = JobResult(
            job: job, results: results, relay: open.relay, source: connection.localAddress, session: open.session,
            connection: connection.isReusable ? next : nil, isDamaged: content.isDamaged)
        return (result, content.hasBegun)
    }

    // MARK: Connecting

    private struct Unreached: Error {
        /// For every recipient.
        var result: RecipientResult
        var relay: String

        init(_ failure: SessionFailure, relay: String = "") {
            result = RecipientResult(
                result: failure.result, status: failure.status, reply: failure.reply, isFromPeer: failure.isFromPeer)
            self.relay = relay
        }
    }

    /// Tries the addresses of the next hop in order. A host that refuses the session for good does not decide alone:
    /// another may take it (RFC 5321 §5.1); the message is deferred unless the domain itself takes no mail.
    private func connect(_ nextHop: NextHop) async -> Result<OpenConnection, Unreached> {
        let candidates: [Candidate]
        switch await self.candidates(nextHop) {
        case .failure(let failure): return .failure(Unreached(failure))
        case .success(let found): candidates = found
        }
        var last = Unreached(
            SessionFailure(
                result: .temporaryFailure, status: EnhancedStatusCode(4, 4, 4), reply: "no address to connect to"))
        for candidate in candidates.prefix(Self.addressLimit) {
            var configuration = ClientConfiguration(helo: nextHop.helo ?? hostname)
            configuration.flavour = candidate.flavour
            let source = source(for: candidate.peer, nextHop.sources)
            do throws(SessionFailure) {
                let connection = try await SMTPConnection.open(
                    to: candidate.peer, source: source, configuration: configuration,
                    connectTimeout: Self.connectTimeout, on: threads)
                return .success(
                    OpenConnection(
                        connection: connection, session: .random(in: .min ... .max), relay: candidate.relay))
            } catch {
                last = Unreached(error, relay: candidate.relay)
                if error.result == .permanentFailure {
                    last.result.result = .temporaryFailure
                    last.result.status = EnhancedStatusCode(4, error.status.subject, error.status.detail)
                }
            }
        }
        return .failure(last)
    }

    fileprivate struct Candidate {
        var peer: PeerAddress
        var relay: String
        var flavour = ServerConfiguration.Flavour.smtp
    }

    private func candidates(_ nextHop: NextHop) async -> Result<[Candidate], SessionFailure> {
        switch nextHop.place {
        case .agent(let path, _), .lmtpSocket(let path):
            return .success([Candidate(peer: .unix(path: path), relay: path, flavour: .lmtp)])
        case .lmtpHost(let host, let port):
            return await resolver.hostRoute(for: host).candidates(port, .lmtp)
        case .domain(let domain):
            return await resolver.mailRoute(for: domain, own: ownNames).candidates(25, .smtp)
        case .hosts(let hosts):
            var found: [Candidate] = []
            var failure: SessionFailure?
            for host in hosts {
                switch await resolver.hostRoute(for: host.host).candidates(host.port, host.flavour) {
                case .success(let candidates): found += candidates
                case .failure(let error): failure = error
                }
            }
            // A relay host's name that DNS doesn't know is a matter of configuration: mail waits for its cure.
            guard found.isEmpty, var failure else { return .success(found) }
            failure.result = .temporaryFailure
            failure.status = EnhancedStatusCode(4, failure.status.subject, failure.status.detail)
            return .failure(failure)
        }
    }

    /// The next of the sources that is of the peer's family; nil lets the kernel choose.
    private func source(for peer: PeerAddress, _ sources: [String]) -> String? {
        guard case .internet(let address, _) = peer else { return nil }
        let usable = sources.filter { $0.contains(":") == address.contains(":") }
        return usable.isEmpty ? nil : usable[turn.next() % usable.count]
    }

    private final class Turn: Sendable {
        private let count = Mutex(0)
        func next() -> Int {
            count.withLock { count in
                defer { count = (count + 1) & 0xFFFF }
                return count
            }
        }
    }
}

extension JobResult {
    /// Whether the connection ended under the transaction, for every recipient.
    fileprivate var isPutOffByConnection: Bool {
        results.allSatisfy { answer in
            // RFC 3463 X.4.2: bad connection. RFC 5321 §3.8: 421 closes the session.
            answer.result == .temporaryFailure
                && (answer.status == EnhancedStatusCode(4, 4, 2) || answer.reply.hasPrefix("421"))
        }
    }
}

extension MailRoute {
    fileprivate func candidates(
        _ port: UInt16, _ flavour: ServerConfiguration.Flavour
    ) -> Result<[Carrier.Candidate], SessionFailure> {
        switch self {
        case .failed(let failure): .failure(failure)
        case .hosts(let hosts):
            .success(
                hosts.flatMap { host in
                    host.addresses.map { address in
                        Carrier.Candidate(
                            peer: .internet(address: address, port: port), relay: "\(host.name)/\(address)",
                            flavour: flavour)
                    }
                })
        }
    }
}
