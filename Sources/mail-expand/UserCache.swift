// Owns: what the system said of users, for a run over many addresses. Refuses: outliving the run.

import Routing
import Synchronization

/// A hundred thousand addresses have a few thousand users; each is asked for once.
final class UserCache: Sendable {
    private let known = Mutex<[String: LookupResult<UserInfo>]>([:])
    /// Names kept; hostile input has more.
    private static let limit = 100_000

    func lookUp(_ name: String) -> LookupResult<UserInfo> {
        if let known = known.withLock({ $0[name] }) { return known }
        let result = SystemUsers.lookUp(name)
        known.withLock { if $0.count < Self.limit { $0[name] = result } }
        return result
    }
}
