// Owns: the Unix socket between the queue runner and the agent. Refuses: speaking on it.

import CommandKit
import Glibc
import Routing
import SystemPackage

struct AgentSocket {
    let listener: ListeningSocket
    /// So that nothing is removed that somebody else put there since.
    private let inode: UInt64

    /// Only the runner may connect: the path belongs to its user alone, who has the write bit. (The agent checks the
    /// peer's uid as well.)
    init(path: String, users: ServiceUsers) throws(CommandFailure) {
        try Self.makeDirectory(of: path)
        let owner = users.relay.map { (uid: $0.uid, gid: $0.gid) }
        listener = try ListeningSocket.unix(path: path, mode: 0o600, owner: owner)
        inode = Self.inode(of: path)
    }

    var inherited: InheritedSocket { InheritedSocket(descriptor: listener.descriptor, name: "agent") }

    func remove() {
        if Self.inode(of: listener.place) == inode { unlink(listener.place) }
        listener.close()
    }

    private static func inode(of path: String) -> UInt64 {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt64(status.st_ino) : 0
    }

    /// /run is empty after a boot: the last directory of the path is made, 0755, no more than that.
    private static func makeDirectory(of path: String) throws(CommandFailure) {
        let directory = path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        guard !directory.isEmpty, mkdir(directory, 0o755) != 0, errno != EEXIST else { return }
        throw CommandFailure(
            .cannotCreate, "make the directory \(directory) of the agent's socket", Errno(rawValue: errno),
            cure: "Make it, or name another place with agent socket.")
    }
}
