// Owns: what DNS calls clients, for rules that ask. Refuses: DNS itself (Resolver), judging.

import Routing
import Transport

/// Asks nobody unless a rule says `from rdns`.
struct ClientNames: Sendable {
    private let resolver: Resolver?

    init(_ configuration: Configuration) {
        guard configuration.asksForNames else {
            resolver = nil
            return
        }
        resolver = Resolver(server: configuration.resolver.map { .init(address: $0.address, port: $0.port) })
    }

    /// Completes what is known of a client; at once when nothing is to be asked.
    func complete(_ facts: MatchFacts, then go: @escaping @Sendable (MatchFacts) -> Void) {
        guard let resolver, case .address(let address) = facts.client else { return go(facts) }
        Task {
            var facts = facts
            facts.clientName =
                switch await resolver.hostName(of: "\(address)") {
                case .none: .none
                case .name(let name): .name(name)
                case .unknown(let why): .unknown("the name of \(address) can't be had: \(why)")
                }
            go(facts)
        }
    }
}
