// Owns: a message as JSON; scripts depend on the names. Refuses: reading the queue.

import CommandKit
import MailModel
import QueueKit

enum MessageJSON {
    /// What `list --json` prints of each message.
    static func summary(_ message: MessageSummary) -> JSONValue {
        .object(members(message) { recipient in [.init("attempts", .int(Int64(recipient.attempts.count)))] })
    }

    /// What `show --json` prints: every attempt, and what the sender asked for.
    static func whole(_ message: MessageSummary) -> JSONValue {
        let envelope = message.envelope
        let more: [JSONValue.Member] = [
            .init("body", envelope.body == .sevenBit ? "7BIT" : "8BITMIME"),
            .init("smtputf8", .bool(envelope.smtpUTF8)),
            .init("return", envelope.returnContent.map { $0 == .full ? "FULL" : "HDRS" } ?? .null),
            .init("envelope_id", optional(envelope.envelopeID)),
        ]
        return .object(
            members(message) { recipient in
                [
                    .init("original_recipient", optional(recipient.recipient.originalRecipient)),
                    .init("notify", notify(recipient.recipient.notify)),
                    .init("attempts", .array(recipient.attempts.map(attempt))),
                ]
            } + more)
    }

    private static func members(
        _ message: MessageSummary, _ more: (MessageSummary.RecipientSummary) -> [JSONValue.Member]
    ) -> [JSONValue.Member] {
        let envelope = message.envelope
        return [
            .init("id", .string(message.id.description)),
            .init("state", .string(message.state.rawValue)),
            .init("arrival", .string(envelope.arrival.iso8601)),
            .init("arrival_ms", .int(envelope.arrival.milliseconds)),
            .init("size", .int(message.size)),
            .init("sender", .string(envelope.reversePath.description)),
            .init("recipients", .array(message.recipients.map { .object(recipient($0) + more($0)) })),
            .init("next_attempt", optional(message.nextAttempt?.iso8601)),
            .init("attempts", .int(Int64(message.attemptCount))),
            .init("held_reason", optional(message.heldReason)),
            .init("origin", origin(envelope.origin)),
            .init("place", .string(message.place)),
        ]
    }

    private static func recipient(_ recipient: MessageSummary.RecipientSummary) -> [JSONValue.Member] {
        [
            .init("number", .int(Int64(recipient.number))),
            .init("address", .string(recipient.recipient.forwardPath.description)),
            .init("status", .string(recipient.status.word)),
            .init("reply", optional(recipient.attempts.last?.reply)),
        ]
    }

    private static func attempt(_ attempt: Attempt) -> JSONValue {
        [
            "time": .string(attempt.time.iso8601),
            "result": .string(attempt.result.description),
            "status": .string(attempt.status.description),
            "reply": .string(attempt.reply),
            "relay": .string(attempt.relay),
            "source": .string(attempt.source),
        ]
    }

    private static func origin(_ origin: Origin) -> JSONValue {
        switch origin {
        case .submission(let uid): return ["kind": "submission", "uid": .int(Int64(uid))]
        case .notification(let about): return ["kind": "notification", "about": .string(about.description)]
        case .session(let session):
            return [
                "kind": "session", "client": .string(session.clientAddress),
                "port": .int(Int64(session.clientPort)), "helo": .string(session.helo),
                "tag": optional(session.tag), "user": optional(session.user), "tls": .bool(session.tls),
            ]
        }
    }

    private static func notify(_ conditions: NotifyConditions?) -> JSONValue {
        guard let conditions else { return .null }
        return .array(conditions.words.map { .string($0) })
    }

    private static func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
}

extension DeliveryStatus {
    var word: String {
        switch self {
        case .pending: "pending"
        case .deferred: "deferred"
        case .delivered: "delivered"
        case .failed: "failed"
        case .expanded: "expanded"
        case .removed: "removed"
        }
    }
}

extension NotifyConditions {
    /// The words of RFC 3461 §4.1; none means NEVER.
    var words: [String] {
        let all: [(NotifyConditions, String)] = [(.success, "SUCCESS"), (.failure, "FAILURE"), (.delay, "DELAY")]
        return isEmpty ? ["NEVER"] : all.filter { contains($0.0) }.map(\.1)
    }
}
