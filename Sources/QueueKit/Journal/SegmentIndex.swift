// Owns: what the index of a closed segment says of each message. Refuses: its state, which the entries after it tell.

import MailModel

/// A message of a closed segment, in a few packed bytes.
struct IndexRow: Hashable, Sendable {
    var id: QueueID
    var offset: Int64
    var end: Int64
    var contentLength: Int64
    var arrival: Timestamp
    var recipientCount: UInt32
    var held: Bool
    var generation: UInt32
    /// The recipients' domains, each once, the first eight.
    var domains: [String]

    static let domainLimit = 8

    init(_ message: StoredMessage) {
        let envelope = message.envelope
        id = envelope.id
        (offset, end, contentLength) = (message.offset, message.end, message.contentLength)
        (arrival, recipientCount, held) = (envelope.arrival, UInt32(envelope.recipients.count), envelope.held)
        generation = message.stored.generation
        var seen: [String] = []
        for recipient in envelope.recipients where seen.count < Self.domainLimit {
            let domain = recipient.forwardPath.domain.lowercased()
            if !seen.contains(domain) { seen.append(domain) }
        }
        domains = seen
    }

    func append(to out: inout FieldWriter) {
        var row = id.bytes
        for number in [offset, end, contentLength, arrival.milliseconds] { row.appendInteger(number) }
        row.appendInteger(recipientCount)
        row.appendInteger(generation)
        row.append(held ? 1 : 0)
        row += domains.joined(separator: " ").utf8
        out.field(1, row)
    }

    private init?(_ row: ArraySlice<UInt8>) {
        let numbers = row.dropFirst(13)
        guard let id = QueueID(bytes: row.prefix(13)), let offset: Int64 = numbers.integer(),
            let end: Int64 = numbers.integer(at: 8), let length: Int64 = numbers.integer(at: 16),
            let arrival: Int64 = numbers.integer(at: 24), let recipients: UInt32 = numbers.integer(at: 32),
            let generation: UInt32 = numbers.integer(at: 36), let held: UInt8 = numbers.integer(at: 40),
            let domains = numbers.dropFirst(41).text
        else { return nil }
        (self.id, self.offset, self.end, contentLength) = (id, offset, end, length)
        (self.arrival, recipientCount) = (Timestamp(milliseconds: arrival), recipients)
        (self.held, self.generation) = (held != 0, generation)
        self.domains = domains.split(separator: " ").map(String.init)
    }

    static func readAll(_ content: ArraySlice<UInt8>) -> [IndexRow]? {
        var fields = FieldReader(content)
        var rows: [IndexRow] = []
        while let (_, field) = fields.next() {
            guard let row = IndexRow(field) else { return nil }
            rows.append(row)
        }
        return fields.isMalformed ? nil : rows
    }
}
