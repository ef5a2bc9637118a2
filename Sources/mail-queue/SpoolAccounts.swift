// Owns: whose the spool is or will be, from the configuration and from who asks. Refuses: making users; the sentence
// says how.

import CommandKit
import Glibc
import QueueKit
import Routing

enum SpoolAccounts {
    static let groupName = "pouch"

    /// As root the accounts of `supervise user`; else whoever calls, and the owners that are there already.
    static func owners(
        of layout: SpoolLayout, _ users: Configuration.SuperviseUsers
    ) throws(CommandFailure) -> SpoolOwners {
        guard geteuid() == 0 else { return try owners(foundAt: layout) }
        guard case .accounts(let listenerName, let relayName) = users else { return .caller }
        let listener = try Accounts.user(named: listenerName)
        let relay = try Accounts.user(named: relayName)
        let group = try Accounts.group(named: groupName)
        guard let listener, let relay, let group else {
            throw missing(
                users: [(listenerName, listener), (relayName, relay)].filter { $0.1 == nil }.map(\.0),
                group: group == nil, relayName)
        }
        return SpoolOwners(relayUID: relay.uid, listenerUID: listener.uid, group: group.gid)
    }

    /// Without root nobody's files change hands: what a spool of ours has stays.
    private static func owners(foundAt layout: SpoolLayout) throws(CommandFailure) -> SpoolOwners {
        var owners = SpoolOwners.caller
        var status = stat()
        guard lstat(layout.root, &status) == 0 else { return owners }
        guard status.st_uid == owners.relayUID else {
            let owner = try Accounts.user(id: status.st_uid)?.name ?? "uid \(status.st_uid)"
            throw CommandFailure(
                .noPermission,
                "cannot check the spool \(layout.root): it belongs to \(owner). Run mail-queue init as root or as "
                    + "\(owner), or name another place with queue directory.")
        }
        owners.group = status.st_gid
        if lstat(layout.path(.incoming), &status) == 0 { owners.listenerUID = status.st_uid }
        return owners
    }

    /// `owner pouchq, listener pouchd, group pouch`.
    static func names(_ owners: SpoolOwners) throws(CommandFailure) -> String {
        let relay = try Accounts.user(id: owners.relayUID)?.name ?? "\(owners.relayUID)"
        let group = try Accounts.group(id: owners.group)?.name ?? "\(owners.group)"
        guard owners.listenerUID != owners.relayUID else { return "owner \(relay), group \(group)" }
        let listener = try Accounts.user(id: owners.listenerUID)?.name ?? "\(owners.listenerUID)"
        return "owner \(relay), listener \(listener), group \(group)"
    }

    private static func missing(users: [String], group: Bool, _ relayName: String) -> CommandFailure {
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
            "cannot create the spool as root: there is no \(lacking.joined(separator: " and no ")). Make them with "
                + "\"\(cures.joined(separator: "; "))\", or with systemd-sysusers and sysusers.d/pouch.conf, "
                + "or write \"supervise user none\".")
    }
}
