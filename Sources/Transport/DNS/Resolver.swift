// Owns: asking DNS from asynchronous code: threads for libresolv, which blocks, and the cache. Refuses: deciding what
// the answers mean (MailRoute).

import MailModel
import NIOPosix
import SMTPProtocol
import Synchronization

/// Asks DNS for the hosts of a domain.
///
/// ```swift
/// let resolver = Resolver(server: .init(address: "127.0.0.1", port: 5353))
/// switch await resolver.mailRoute(for: "example.org") {
/// case .hosts(let hosts): ...
/// case .failed(let failure): ...
/// }
/// await resolver.shutdown()
/// ```
public final class Resolver: Sendable {
    /// A name server by numeric address.
    public struct Server: Hashable, Sendable {
        public var address: String
        public var port: UInt16
        public init(address: String, port: UInt16 = 53) { (self.address, self.port) = (address, port) }
    }

    private let server: Server?
    private let prefersIPv4: Bool
    private let timeoutSeconds: Int32
    private let attempts: Int32
    private let threads: NIOThreadPool
    private let cache = Mutex(DNSCache())
    private let clock = ContinuousClock()

    /// - Parameters:
    ///   - server: whom to ask; nil asks the servers of resolv.conf.
    ///   - prefersIPv4: whether a host's IPv4 addresses come first.
    ///   - timeoutSeconds: 1 to 30, for the first try at each server.
    ///   - attempts: 1 to 5 rounds over the servers.
    ///   - threads: questions under way at once; the rest wait in line.
    public init(
        server: Server? = nil, prefersIPv4: Bool = false, timeoutSeconds: Int = 5, attempts: Int = 2, threads: Int = 8
    ) {
        self.server = server
        self.prefersIPv4 = prefersIPv4
        self.timeoutSeconds = Int32(min(max(timeoutSeconds, 1), 30))
        self.attempts = Int32(min(max(attempts, 1), 5))
        self.threads = NIOThreadPool(numberOfThreads: max(1, threads))
        self.threads.start()
    }

    /// Ends the threads after the questions under way; later questions answer `.noResolver`.
    public func shutdown() async {
        do { try await threads.shutdownGracefully() } catch { return }
    }

    /// The hosts that take mail for `domain`, by MX (RFC 5321 §5.1, RFC 7505).
    /// - Parameter own: names of this host, lowercase; it never sends to itself.
    public func mailRoute(for domain: String, own: Set<String> = []) async -> MailRoute {
        if let route = routeWithoutDNS(domain) { return route }
        let answer = await ask(domain, .mx)
        var generator = SystemRandomNumberGenerator()
        switch MailRoute.exchangers(of: domain, answer: answer, own: own, generator: &generator) {
        case .failure(let failure): return .failed(failure)
        case .success(let names): return await route(domain, names, isImplicit: names == [domain])
        }
    }

    /// The addresses of one host named in a configuration, MX records left aside.
    public func hostRoute(for host: String) async -> MailRoute {
        if let route = routeWithoutDNS(host) { return route }
        return await route(host, [host], isImplicit: true)
    }

    /// What DNS calls an address, by its PTR record. The owner of the address chooses that name, whatever it is.
    /// - Parameter address: numeric text.
    public func hostName(of address: String) async -> HostName {
        guard let question = ReverseName.of(address) else { return .none }
        let answer = await ask(question, .ptr)
        guard !answer.isTemporary else { return .unknown(answer.explanation) }
        for record in answer.records(of: question) {
            if case .ptr(let name) = record.value, Mailbox.isDomain(name) { return .name(name) }
        }
        return .none
    }

    private func routeWithoutDNS(_ domain: String) -> MailRoute? {
        if let route = MailRoute.withoutDNS(domain, prefersIPv4: prefersIPv4) { return route }
        guard Mailbox.isDomain(domain), domain.utf8.allSatisfy({ $0 < 128 }) else {
            let text = "\(domain) is not a domain name in the form that DNS knows"
            return .failed(MailRoute.permanent(EnhancedStatusCode(5, 1, 2), text))
        }
        return nil
    }

    private func route(_ domain: String, _ names: [String], isImplicit: Bool) async -> MailRoute {
        let answers = await withTaskGroup(of: (Int, MailRoute.HostAnswers).self) { group in
            for (index, name) in names.enumerated() {
                group.addTask {
                    async let v6 = self.ask(name, .aaaa)
                    async let v4 = self.ask(name, .a)
                    return (index, await MailRoute.HostAnswers(name: name, v6: v6, v4: v4))
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let ordered = answers.sorted { $0.0 < $1.0 }.map(\.1)
        return MailRoute.assemble(domain, ordered, prefersIPv4: prefersIPv4, isImplicit: isImplicit)
    }

    /// Asks for one type of record, from the cache when it may.
    func ask(_ name: String, _ kind: DNSQuestion.Kind) async -> DNSAnswer {
        let key = DNSCache.Key(name: name.lowercased(), kind: kind)
        let now = clock.now
        if let kept = cache.withLock({ $0.answer(for: key, now: now) }) { return kept }
        let question = DNSQuestion(
            name: name, kind: kind, server: server, timeoutSeconds: timeoutSeconds, attempts: attempts)
        do {
            let answer = try await threads.runIfActive { question.ask() }
            let end = clock.now
            cache.withLock { $0.keep(answer, for: key, now: end) }
            return answer
        } catch {
            return DNSAnswer(.noResolver)  // Shut down: the message stays in the queue.
        }
    }
}
