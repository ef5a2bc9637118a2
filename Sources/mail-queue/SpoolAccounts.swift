// Owns: whose the spool is or will be, from the configuration and from who asks. Refuses: making users; the sentence
// says how.

import CommandKit
import Glibc
import QueueKit
import Routing

enum SpoolAccounts {
    /// As root the accounts of `supervise user`; else whoever calls, and the owners that are there already.
    static func owners(
        of layout: SpoolLayout, _ users: Configuration.SuperviseUsers
    ) throws(CommandFailure) -> SpoolOwners {
        guard geteuid() == 0 else { return try owners(foundAt: layout) }
        guard case .accounts(let listenerName, let relayName) = users else { return .caller }
        let accounts = try ServiceAccounts.find(listener: listenerName, relay: relayName, to: "create the spool")
        return SpoolOwners(
            relayUID: accounts.relay.uid, listenerUID: accounts.listener.uid, group: accounts.group.gid)
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
}
