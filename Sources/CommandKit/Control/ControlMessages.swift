// Owns: what is said over `<spool>/run/control`, as values and as JSON. Refuses: what the verbs do, sockets.
//
//   client:  {"verb":"hold","ids":["0k2c","0k3f"],"reason":"asked by the owner"}      or  "ids":"all"
//   runner:  {"changed":["0k2c..."],"unchanged":[],"more":true}                       none, one or more
//   runner:  {"ok":true,"changed":[...],"unchanged":[...],"status":0}                 the last line; "error" when not ok

/// An order to the program that runs the queue.
public struct ControlRequest: Hashable, Sendable {
    public enum Messages: Hashable, Sendable {
        case all
        /// Unique prefixes of queue IDs.
        case ids([String])
    }

    /// `flush`, `hold`, `release`, `remove`: a runner refuses those it does not know, so that later ones can come.
    public var verb: String
    public var messages: Messages
    /// For `hold`: shown with the message.
    public var reason: String?
    /// Who asks, as the kernel told the server; never part of the text. Nil at the client.
    public var uid: UInt32?

    public init(verb: String, messages: Messages, reason: String? = nil) {
        (self.verb, self.messages, self.reason) = (verb, messages, reason)
    }

    public var json: JSONValue {
        let ids: JSONValue =
            switch messages {
            case .all: "all"
            case .ids(let ids): .array(ids.map { .string($0) })
            }
        let members: [JSONValue.Member] = [.init("verb", .string(verb)), .init("ids", ids)]
        return .object(members + (reason.map { [.init("reason", .string($0))] } ?? []))
    }

    /// - Throws: 76 when the value is no request.
    public init(_ json: JSONValue) throws(CommandFailure) {
        guard let verb = json["verb"]?.string else { throw Self.malformed("it has no verb") }
        if let reason = json["reason"] {
            guard let text = reason.string else { throw Self.malformed("its reason is no text") }
            self.reason = text
        }
        self.verb = verb
        messages = try Self.messages(json["ids"])
    }

    private static func messages(_ ids: JSONValue?) throws(CommandFailure) -> Messages {
        guard ids?.string != "all" else { return .all }
        guard let values = ids?.array else { throw malformed("its ids are neither a list nor \"all\"") }
        let texts = values.compactMap(\.string)
        guard texts.count == values.count, !texts.isEmpty else { throw malformed("its ids are not a list of texts") }
        return .ids(texts)
    }

    private static func malformed(_ what: String) -> CommandFailure {
        CommandFailure(.protocolError, "cannot understand the request: \(what). Use mail-queue of this release.")
    }
}

/// What became of an order.
public struct ControlReply: Hashable, Sendable {
    public var ok: Bool
    /// Queue IDs of the messages that are different now, durably.
    public var changed: [String]
    /// Those that were so already, or are being tried this moment.
    public var unchanged: [String]
    /// A whole sentence, when not ok.
    public var error: String?
    /// sysexits(3); 0 when ok.
    public var status: Int32

    public init(changed: [String] = [], unchanged: [String] = []) {
        (ok, status, error) = (true, 0, nil)
        (self.changed, self.unchanged) = (changed, unchanged)
    }

    /// A refusal, or a failure after some messages were changed.
    public init(error: String, status: Int32, changed: [String] = [], unchanged: [String] = []) {
        (ok, self.error, self.status) = (false, error, status)
        (self.changed, self.unchanged) = (changed, unchanged)
    }

    public init(_ failure: CommandFailure) { self.init(error: failure.sentence, status: failure.status.rawValue) }
}

extension ControlReply {
    /// IDs in one line: 20,000 of 23 octets stay under half of what a line may have (JSONValue.sizeLimit).
    static let idsPerLine = 20_000
    /// Lines of one reply: room for ten million messages, and an end for a peer that never stops.
    static let lineLimit = 512

    /// The lines of the reply, the last one without `more`.
    var lines: [JSONValue] {
        var lines: [JSONValue] = []
        for (key, ids) in [("changed", changed), ("unchanged", unchanged)] where ids.count > Self.idsPerLine {
            for start in stride(from: 0, to: ids.count, by: Self.idsPerLine) {
                let part = ids[start..<min(start + Self.idsPerLine, ids.count)]
                lines.append(.object([.init(key, Self.list(part)), .init("more", true)]))
            }
        }
        var last: [JSONValue.Member] = [.init("ok", .bool(ok))]
        for (key, ids) in [("changed", changed), ("unchanged", unchanged)] {
            last.append(.init(key, Self.list(ids.count > Self.idsPerLine ? [] : ids[...])))
        }
        if let error { last.append(.init("error", .string(error))) }
        return lines + [.object(last + [.init("status", .int(Int64(status)))])]
    }

    private static func list(_ ids: ArraySlice<String>) -> JSONValue { .array(ids.map { .string($0) }) }

    /// Takes one more line in; false when the reply is complete.
    mutating func add(_ line: JSONValue) throws(CommandFailure) -> Bool {
        changed += line["changed"]?.array?.compactMap(\.string) ?? []
        unchanged += line["unchanged"]?.array?.compactMap(\.string) ?? []
        if line["more"]?.bool == true { return true }
        guard let ok = line["ok"]?.bool, let status = line["status"]?.int.flatMap(Int32.init(exactly:)) else {
            throw CommandFailure(
                .protocolError, "cannot understand what the queue's runner answers: it says no status.")
        }
        (self.ok, self.status, error) = (ok, status, line["error"]?.string)
        return false
    }
}
