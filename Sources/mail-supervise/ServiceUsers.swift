// Owns: the users that the programs run as. Refuses: making them; the sentence says how.

import CommandKit
import Glibc
import Routing

/// nil means the uid of mail-supervise itself. The agent always keeps it: as root it becomes each recipient.
struct ServiceUsers {
    var listener: Account?
    var relay: Account?
    /// The group of operators and of the queue's directories; nil when no user changes.
    var group: AccountGroup?

    static let none = ServiceUsers()

    /// Looks them up when there is a choice: as root, without `supervise user none`.
    static func resolve(_ wanted: Configuration.SuperviseUsers) throws(CommandFailure) -> ServiceUsers {
        guard geteuid() == 0, case .accounts(let listenerName, let relayName) = wanted else { return .none }
        let accounts = try ServiceAccounts.find(listener: listenerName, relay: relayName, to: "start")
        let users = ServiceUsers(listener: accounts.listener, relay: accounts.relay, group: accounts.group)
        try users.verify()
        return users
    }

    /// The listener faces the network: it gets nothing but its own group.
    var listenerIdentity: ProcessLaunch.Identity? {
        listener.map { ProcessLaunch.Identity(uid: $0.uid, gid: $0.gid, groups: [$0.gid]) }
    }

    /// The runner works on directories of the operators' group.
    var relayIdentity: ProcessLaunch.Identity? {
        guard let relay, let group else { return nil }
        return ProcessLaunch.Identity(uid: relay.uid, gid: relay.gid, groups: [relay.gid, group.gid])
    }

    private func verify() throws(CommandFailure) {
        guard let listener, let relay, let group else { return }
        for user in [listener, relay] where user.uid == 0 {
            throw CommandFailure(
                .configuration, "cannot run a program as \(user.name): its uid is 0. Name another in supervise user.")
        }
        guard listener.gid != group.gid else {
            throw CommandFailure(
                .configuration,
                "cannot run mail-listen as \(listener.name): its group is \(group.name), which reads the queue. "
                    + "Give it a group of its own.")
        }
    }
}
