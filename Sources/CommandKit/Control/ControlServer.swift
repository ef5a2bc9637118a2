// Owns: the listening end of `<spool>/run/control`: who may come in, one request a connection, limits on size, time and
// number. Refuses: what an order means; the handler does that.
//
//   accept -> peer's credentials -> request -> handler -> answer, from any thread, later -> reply -> close

import Glibc
import Synchronization
import SystemPackage

/// Listens from its init until `stop`. Each connection has a thread for as long as it lasts.
///
/// ```swift
/// let control = try ControlServer(path: layout.controlSocket, report: log) { request, answer in
///     runner.perform { answer(runner.carryOut(request)) }
/// }
/// defer { control.stop() }
/// ```
public final class ControlServer: Sendable {
    /// Carries out a request and answers once, from any thread, at any time. Called on a thread of the connection, so
    /// several calls may come at once. What is answered after `answerLimit` reaches nobody.
    public typealias Handler = @Sendable (ControlRequest, @escaping @Sendable (ControlReply) -> Void) -> Void

    /// Connections served at a time; further ones are told to come later.
    public static let connectionLimit = 16
    /// For the request to arrive, and for each line of the reply to be taken.
    public static let requestLimit = Duration.seconds(10)
    /// For the handler's answer: a sync on a busy disk, a million messages.
    public static let answerLimit = Duration.seconds(60)

    private let listener: ListeningSocket
    private let identity: FileIdentity?
    private let access: ControlAccess
    private let report: @Sendable (CommandFailure) -> Void
    private let handler: Handler
    private let active = Mutex(0)
    private let stopping: Answer<ControlReply>.Giver
    private let stopped: Answer<ControlReply>

    /// - Parameters:
    ///   - path: replaced when a dead process left it behind.
    ///   - group: whose members may order; nil takes the group of the folder that `path` lies in.
    ///   - report: what went wrong besides requests; the server goes on.
    /// - Throws: 69 when another process listens there, 77 when the group can't be set, or what else is in the way.
    public init(
        path: String, group: UInt32? = nil, report: @escaping @Sendable (CommandFailure) -> Void,
        handler: @escaping Handler
    ) throws(CommandFailure) {
        let group = group ?? Self.group(ofFolder: path)
        listener = try ListeningSocket.unix(
            path: path, mode: 0o660, owner: group == getegid() ? nil : (geteuid(), group), isBlocking: false)
        identity = FileIdentity(path)
        access = ControlAccess(ownUID: geteuid(), group: group)
        (self.report, self.handler) = (report, handler)
        do throws(CommandFailure) {
            (stopped, stopping) = try Answer<ControlReply>.make()
            try Thread.start { self.acceptAll() }
        } catch {
            unlink(path)
            listener.close()
            throw error
        }
    }

    /// Takes nobody in any more and removes the socket, unless another process has put its own there. Requests under
    /// way may still be answered.
    public func stop() {
        if let identity, FileIdentity(listener.place) == identity { unlink(listener.place) }
        stopping.give(ControlReply())
    }

    private static func group(ofFolder path: String) -> UInt32 {
        let folder = path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
        var status = stat()
        return stat(folder.isEmpty ? "/" : folder, &status) == 0 ? status.st_gid : getegid()
    }

    // MARK: Connections

    private func acceptAll() {
        defer { listener.close() }
        while true {
            do throws(CommandFailure) {
                guard try waitForClient() else { return }
                guard let connection = try LineConnection.accept(from: listener, within: .zero) else { continue }
                try serve(Handover(connection: connection))
            } catch {
                report(error)
                // Out of descriptors, say: the client stays in the backlog, and this loop must not spin.
                guard (try? stopped.wait(within: .seconds(1))) == nil else { return }
            }
        }
    }

    /// False when it is time to stop.
    private func waitForClient() throws(CommandFailure) -> Bool {
        var entries = [listener.descriptor, stopped.descriptor].map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        while poll(&entries, 2, -1) < 0 {
            guard errno == EINTR else { throw CommandFailure(.osError, "wait for orders", .last) }
        }
        return entries[1].revents == 0
    }

    /// A connection on its way to the thread that serves it.
    private struct Handover: @unchecked Sendable {
        // Sendable by proof: made by the accepting thread, which lets go of it when the new thread starts.
        let connection: LineConnection
    }

    private func serve(_ handover: Handover) throws(CommandFailure) {
        let hasRoom = active.withLock { count in
            guard count < Self.connectionLimit else { return false }
            count += 1
            return true
        }
        guard hasRoom else {
            let busy = CommandFailure(
                .temporaryFailure, "the queue's runner has \(Self.connectionLimit) orders at hand. Try again later.")
            return try handover.connection.send(ControlReply(busy).lines[0], within: .zero)
        }
        do throws(CommandFailure) {
            try Thread.start {
                self.converse(handover.connection)
                self.active.withLock { $0 -= 1 }
            }
        } catch {
            active.withLock { $0 -= 1 }
            throw error
        }
    }

    /// One request, one reply.
    private func converse(_ connection: LineConnection) {
        do throws(CommandFailure) {
            guard let reply = try reply(on: connection) else { return }
            for line in reply.lines { try connection.send(line, within: Self.requestLimit) }
        } catch {
            // The client went away or does not read: its order is carried out all the same, and it sees that later.
            report(error)
        }
    }

    /// Nil when the client closed without a word.
    private func reply(on connection: LineConnection) throws(CommandFailure) -> ControlReply? {
        do throws(CommandFailure) {
            let peer = try connection.peer()
            try access.check(uid: peer.uid, gid: peer.gid, groups: try connection.peerGroups())
            guard let line = try connection.receive(within: Self.requestLimit) else { return nil }
            var request = try ControlRequest(line)
            request.uid = peer.uid
            return try begin(request).wait(within: Self.answerLimit)
        } catch {
            return ControlReply(error)
        }
    }

    /// Only the handler's closure holds the giver: if it is dropped, the wait ends.
    private func begin(_ request: ControlRequest) throws(CommandFailure) -> Answer<ControlReply> {
        let (answer, giver) = try Answer<ControlReply>.make()
        handler(request) { giver.give($0) }
        return answer
    }
}

/// Which file a path names, so that nothing is removed that somebody else put there since.
private struct FileIdentity: Equatable {
    private let device: UInt64
    private let inode: UInt64

    init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        (device, inode) = (UInt64(status.st_dev), UInt64(status.st_ino))
    }
}
