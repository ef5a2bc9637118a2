// Owns: the agent's socket and who may connect to it. Refuses: speaking on it.

import CommandKit
import Glibc
import Logging
import Routing
import SystemPackage
import Transport

struct AgentListener {
    let descriptors: [Int32]
    /// The path to remove at the end; nil when the sockets were inherited.
    private let path: String?

    /// - Parameter inherited: from mail-supervise or a service manager; empty binds `agent socket`.
    init(inherited: [InheritedSocket], configuration: Configuration, runner: Account?) throws(CommandFailure) {
        for socket in inherited where !SessionFacts(descriptor: socket.descriptor).isUnix {
            throw CommandFailure(
                .configuration,
                "cannot use inherited descriptor \(socket.descriptor) (\(socket.name)): the agent listens on a Unix "
                    + "socket only. Give ListenStream= a path.")
        }
        guard inherited.isEmpty else {
            (descriptors, path) = (inherited.map(\.descriptor), nil)
            return
        }
        let owner = geteuid() == 0 ? runner.map { (uid: $0.uid, gid: $0.gid) } : nil
        let bound = try ListeningSocket.unix(
            path: configuration.agentSocket, mode: 0o660, owner: owner, isBlocking: false)
        (descriptors, path) = ([bound.descriptor], configuration.agentSocket)
    }

    func remove() {
        if let path { unlink(path) }
    }

    /// The account of `supervise user ... relay`, when there is one.
    static func runner(_ configuration: Configuration) throws(CommandFailure) -> Account? {
        guard case .accounts(_, let name) = configuration.superviseUsers else { return nil }
        return try Accounts.user(named: name)
    }
}

extension Configuration {
    /// The agent acts as root on what the configuration says: whoever can write that, can do as much.
    /// - Throws: 78 when others than root and the agent's own uid own the file or may write it.
    func requireTrusted(by uid: UInt32) throws(CommandFailure) {
        guard let path else { return }
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw CommandFailure(.configuration, "look at \(path)", .lastCall)
        }
        guard [0, uid].contains(status.st_uid), status.st_mode & 0o022 == 0 else {
            throw CommandFailure(
                .configuration,
                "cannot trust \(path): others than its reader may write it. Make it root's with \"chown root\" and "
                    + "\"chmod go-w\".")
        }
    }
}
