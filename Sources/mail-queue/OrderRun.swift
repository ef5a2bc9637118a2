// Owns: an order from the command line to its result: asked of the runner, or done in its place, and told. Refuses: the
// protocol (CommandKit), working on the queue (OwnRunner).

import CommandKit
import Glibc
import MailModel
import QueueKit

struct OrderRun {
    let order: QueueOrder
    let json: Bool
    let spool: Spool

    /// Queue IDs in one request: 23 octets each stay under half of what a line may have.
    private static let idsPerRequest = 20_000
    /// How often a process that holds the runner's lock and does not listen is asked again, a tenth of a second
    /// apart: a runner that starts, or another mail-queue, is soon done.
    private static let patience = 30

    func run() throws {
        _ = try queueCall { () throws(QueueError) in try SpoolMeta.read(spool.layout) }
        for part in Self.parts(order) {
            let (reply, hasRunner) = try carryOut(part)
            try tell(reply)
            guard reply.ok else { throw failure(reply, part) }
            if !hasRunner, order.verb == .flush { sayThatNobodyRuns() }
        }
    }

    private static func parts(_ order: QueueOrder) -> [QueueOrder] {
        guard case .messages(let ids) = order.scope, ids.count > idsPerRequest else { return [order] }
        return stride(from: 0, to: ids.count, by: idsPerRequest).map { start in
            var part = order
            part.scope = .messages(Array(ids[start..<min(start + idsPerRequest, ids.count)]))
            return part
        }
    }

    /// By whoever runs the queue; with nobody there, by us.
    private func carryOut(_ order: QueueOrder) throws -> (ControlReply, hasRunner: Bool) {
        for _ in 0..<Self.patience {
            if let reply = try ControlClient.ask(path: spool.layout.controlSocket, request: Self.request(order)) {
                return (reply, true)
            }
            if let reply = try OwnRunner.carryOut(order, spool) { return (reply, false) }
            usleep(100_000)
        }
        throw CommandFailure(
            .temporaryFailure,
            "another process runs the queue in \(spool.layout.root) and takes no orders at run/control. "
                + "Try again when it is done (mail-relay --once, another mail-queue).")
    }

    private static func request(_ order: QueueOrder) -> ControlRequest {
        let messages: ControlRequest.Messages =
            switch order.scope {
            case .all: .all
            case .messages(let ids): .ids(ids)
            }
        return ControlRequest(
            verb: order.verb.rawValue, messages: messages, reason: order.verb == .hold ? order.reason : nil)
    }

    // MARK: Telling

    private func tell(_ reply: ControlReply) throws {
        var output = OutputLines()
        for (ids, isChanged) in [(reply.changed, true), (reply.unchanged, false)] {
            for id in ids {
                let line: JSONValue = [
                    "id": .string(id), "order": .string(order.verb.rawValue), "changed": .bool(isChanged),
                ]
                let word = isChanged ? order.verb.pastTense : "unchanged"
                try output.add(json ? line.rendered : "\(word) \(EscapedText.plain(id))")
            }
        }
        try output.flush()
    }

    private func sayThatNobodyRuns() {
        Diagnostic.print(
            "nobody runs the queue in \(spool.layout.root): its messages are due as soon as somebody does. "
                + "Start mail-relay, or run mail-relay --once.")
    }

    /// A drop that was not picked up yet is no unknown message, though the runner knows nothing of it.
    private func failure(_ reply: ControlReply, _ part: QueueOrder) -> CommandFailure {
        let status = ExitStatus(rawValue: reply.status) ?? .software
        let told = CommandFailure(status, reply.error ?? "the order was refused without a reason.")
        guard status == .dataError, case .messages(let ids) = part.scope else { return told }
        let snapshot = try? spool.snapshot(prefix: ids.count == 1 ? ids[0] : nil)
        let drops = (snapshot?.messages ?? []).filter { $0.state == .submitted }.map(\.id)
        guard let drop = drops.first(where: { drop in ids.contains { drop.hasPrefix($0) } }) else { return told }
        return CommandFailure(
            .temporaryFailure,
            "message \(drop) waits in \(spool.layout.path(.offline)) and was not picked up yet. Try again in a moment.")
    }
}

extension QueueOrder.Verb {
    /// The first word of each line of the result.
    var pastTense: String {
        switch self {
        case .flush: "flushed"
        case .hold: "held"
        case .release: "released"
        case .remove: "removed"
        }
    }
}
