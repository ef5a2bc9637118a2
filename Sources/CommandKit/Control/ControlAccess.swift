// Owns: who may order the queue's runner. Refuses: the socket's mode, which asks the same of a connect (ControlServer).

import Glibc

/// The kernel's word about a peer against the group of the socket. The mode of the socket keeps strangers out already;
/// this check stands even where somebody changed it.
struct ControlAccess: Sendable {
    let ownUID: UInt32
    let group: UInt32

    /// - Throws: 77 with the name of the group when the peer may not.
    func check(uid: UInt32, gid: UInt32) throws(CommandFailure) {
        if uid == 0 || uid == ownUID || gid == group { return }
        let account = try Accounts.user(id: uid)
        if let account, try Accounts.groups(of: account).contains(group) { return }
        let name = try Accounts.group(id: group)?.name ?? "with gid \(group)"
        throw CommandFailure(
            .noPermission,
            "\(account?.name ?? "uid \(uid)") may not order the queue: it is no member of the group \(name). "
                + "Ask an operator, or let root add it to that group.")
    }
}
