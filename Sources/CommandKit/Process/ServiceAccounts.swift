// Owns: the accounts that Pouch's daemons run as, looked up together. Refuses: making them; the sentence says how.

/// The listener's user, the runner's, and the group of operators.
public struct ServiceAccounts: Hashable, Sendable {
    public static let groupName = "pouch"

    public var listener: Account
    public var relay: Account
    public var group: AccountGroup

    /// - Parameter purpose: begins the sentence when one is missing: `start`, `create the spool`.
    /// - Throws: 78 naming what is missing and the commands that make it.
    public static func find(
        listener listenerName: String, relay relayName: String, to purpose: String
    ) throws(CommandFailure) -> ServiceAccounts {
        let listener = try Accounts.user(named: listenerName)
        let relay = try Accounts.user(named: relayName)
        let group = try Accounts.group(named: groupName)
        if let listener, let relay, let group { return ServiceAccounts(listener: listener, relay: relay, group: group) }
        var users: [String] = []
        if listener == nil { users.append(listenerName) }
        if relay == nil, relayName != listenerName { users.append(relayName) }
        throw missing(users, group: group == nil, relayName, purpose)
    }

    private static func missing(
        _ users: [String], group: Bool, _ relayName: String, _ purpose: String
    ) -> CommandFailure {
        var lacking = users.map { "user \($0)" }
        var cures: [String] = []
        if group {
            lacking.append("group \(groupName)")
            cures.append("groupadd --system \(groupName)")
        }
        let options = "--system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin"
        for user in users {
            cures.append("useradd \(options)\(user == relayName ? " --groups \(groupName)" : "") \(user)")
        }
        return CommandFailure(
            .configuration,
            "cannot \(purpose) as root: there is no \(lacking.joined(separator: " and no ")). Make them with "
                + "\"\(cures.joined(separator: "; "))\", or with systemd-sysusers and sysusers.d/pouch.conf, "
                + "or write \"supervise user none\".")
    }
}
