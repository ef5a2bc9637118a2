// Owns: an operator's order as a value, and carrying it out on a queue. Refuses: sockets, rights, texts for people.

import MailModel

/// What `mail-queue` asks of the runner, or does itself when it is the runner.
public struct QueueOrder: Hashable, Sendable {
    public enum Verb: String, Hashable, Sendable, CaseIterable {
        /// Due now.
        case flush
        case hold
        case release
        /// Taken out without a DSN.
        case remove
    }

    public enum Scope: Hashable, Sendable {
        case all
        /// Unique prefixes of queue IDs.
        case messages([String])
    }

    public var verb: Verb
    public var scope: Scope
    /// For `hold`; shown with the message.
    public var reason: String

    public init(_ verb: Verb, _ scope: Scope, reason: String = "held by an operator") {
        (self.verb, self.scope, self.reason) = (verb, scope, reason)
    }
}

/// What an order did.
public struct OrderResult: Hashable, Sendable {
    /// The messages it changed.
    public var changed: [QueueID] = []
    /// Those that were so already, or are being tried this moment.
    public var unchanged: [QueueID] = []
}

extension Queue {
    /// Carries out an order. It is durable only after `whenDurable` answered.
    ///
    /// - Throws: QueueError `.unknownMessage` before anything is changed when a prefix names no or several messages;
    ///   otherwise what failed, with the messages before it changed.
    public func carryOut(_ order: QueueOrder) throws(QueueError) -> OrderResult {
        let ids: [QueueID]
        switch order.scope {
        case .all: ids = self.ids.sorted()
        case .messages(let prefixes):
            var found: [QueueID] = []
            for prefix in prefixes { found.append(try resolve(prefix)) }
            ids = found
        }
        var result = OrderResult()
        for id in ids {
            if try carryOut(order, id) { result.changed.append(id) } else { result.unchanged.append(id) }
        }
        return result
    }

    private func carryOut(_ order: QueueOrder, _ id: QueueID) throws(QueueError) -> Bool {
        switch order.verb {
        case .flush: return try flush(id)
        case .hold: return try hold(id, reason: order.reason)
        case .release: return try release(id)
        case .remove:
            try remove(id)
            return true
        }
    }
}
