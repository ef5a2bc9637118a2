// Owns: who may order the queue's runner. Refuses: the socket's mode, which asks the same of a connect (ControlServer).

import Glibc
import SystemPackage

/// The kernel's word about a peer against the group of the socket. The mode of the socket keeps strangers out already;
/// this check stands even where somebody changed it.
struct ControlAccess: Sendable {
    let ownUID: UInt32
    let group: UInt32

    /// - Parameter groups: the peer's groups besides `gid`; nil when the kernel does not tell, then its account's count.
    /// - Throws: 77 with the name of the group when the peer may not.
    func check(uid: UInt32, gid: UInt32, groups: [UInt32]?) throws(CommandFailure) {
        if uid == 0 || uid == ownUID || gid == group || groups?.contains(group) == true { return }
        let account = try Accounts.user(id: uid)
        if groups == nil, let account, try Accounts.groups(of: account).contains(group) { return }
        let name = try Accounts.group(id: group)?.name ?? "with gid \(group)"
        throw CommandFailure(
            .noPermission,
            "\(account?.name ?? "uid \(uid)") may not order the queue: it is no member of the group \(name). "
                + "Ask an operator, or let root add it to that group.")
    }
}

extension PeerCredentials {
    /// As many as the kernel lets a process have (NGROUPS_MAX).
    private static let groupLimit = 65536

    /// The supplementary groups of the process that connected (SO_PEERGROUPS of socket(7)): it may have none of its
    /// account's, or others, and no account at all. Nil where the kernel is too old to say (before Linux 4.13).
    static func groups(ofSocket descriptor: Int32) throws(CommandFailure) -> [UInt32]? {
        var groups = [gid_t](repeating: 0, count: 64)
        while true {
            var size = socklen_t(groups.count * MemoryLayout<gid_t>.size)
            guard getsockopt(descriptor, SOL_SOCKET, SO_PEERGROUPS, &groups, &size) != 0 else {
                return Array(groups.prefix(Int(size) / MemoryLayout<gid_t>.size))
            }
            switch Errno.last {
            case Errno(rawValue: ENOPROTOOPT): return nil
            case Errno(rawValue: ERANGE) where groups.count < groupLimit:
                groups = [gid_t](repeating: 0, count: groups.count * 4)
            case let cause: throw CommandFailure(.osError, "learn the groups of who connected", cause)
            }
        }
    }
}
