// Owns: the runner's end of `run/control`: requests become orders, results become replies. Refuses: deciding who may
// ask (ControlServer), carrying out (Queue).

import CommandKit
import Logging
import MailModel
import QueueKit

enum ControlDesk {
    /// Starts to listen; whatever is asked is carried out on the runner's thread.
    static func open(_ layout: SpoolLayout, _ inbox: RunnerInbox, _ log: Logger) throws(CommandFailure) -> ControlServer
    {
        try ControlServer(path: layout.controlSocket, report: { log.error("control: \($0)") }) { request, answer in
            do throws(CommandFailure) {
                let order = try QueueOrder(request)
                inbox.post(.order(order) { result in answer(reply(result)) })
            } catch {
                answer(ControlReply(error))
            }
        }
    }

    private static func reply(_ result: Result<OrderResult, QueueError>) -> ControlReply {
        switch result {
        case .success(let done):
            ControlReply(changed: done.changed.map(\.description), unchanged: done.unchanged.map(\.description))
        case .failure(let error): ControlReply(error: error.description, status: error.exitStatus)
        }
    }
}

extension QueueOrder {
    init(_ request: ControlRequest) throws(CommandFailure) {
        guard let verb = Verb(rawValue: request.verb) else {
            throw CommandFailure(
                .usage, "cannot \(request.verb): this runner does not know the order. Use mail-queue of its release.")
        }
        let scope: Scope =
            switch request.messages {
            case .all: .all
            case .ids(let ids): .messages(ids)
            }
        if let reason = request.reason { self.init(verb, scope, reason: reason) } else { self.init(verb, scope) }
    }
}
