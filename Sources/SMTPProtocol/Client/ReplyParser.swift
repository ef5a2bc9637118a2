// Owns: reading the replies of a server from bytes cut anywhere, within bounds. Refuses: judging whether a reply was
// due (ClientMachine), writing replies (Reply).

import MailModel

/// One whole reply of a peer. The texts are printable (see `PeerText`).
public struct PeerReply: Hashable, Sendable {
    /// 200 to 599. RFC 5321 §4.2.1 ends at 559, but §4.3.2 lets a client act on the first digit alone, so 299 and 590
    /// are read for what their first digit says.
    public let code: Int
    /// The enhanced status code (RFC 2034 §4), only when its class is the first digit of the code.
    public let status: EnhancedStatusCode?
    /// The lines without code and separator, the enhanced status code left in; at least one, perhaps empty.
    public let lines: [String]

    init(code: Int, lines: [String]) {
        self.code = code
        self.lines = lines
        status = Self.status(of: lines.first ?? "", code: code)
    }

    /// 2, 3, 4 or 5.
    public var replyClass: Int { code / 100 }
    public var isPositive: Bool { replyClass == 2 }

    /// All lines on one, without the enhanced status code.
    public var text: String {
        guard let status else { return lines.joined(separator: " ") }
        let prefix = "\(status)"
        return lines.map { line in
            guard line.hasPrefix(prefix) else { return line }
            let rest = line.dropFirst(prefix.count)
            return rest.isEmpty || rest.hasPrefix(" ") ? String(rest.drop { $0 == " " }) : line
        }.joined(separator: " ")
    }

    /// The reply as logs and attempts keep it, `550 5.1.1 No such user`; at most 1,000 octets.
    public var summary: String {
        let parts = ["\(code)", status.map { "\($0)" } ?? "", text].filter { !$0.isEmpty }
        return PeerText.printable(parts.joined(separator: " "))
    }

    private static func status(of line: String, code: Int) -> EnhancedStatusCode? {
        guard let word = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).first,
            let status = EnhancedStatusCode(word), status.statusClass == code / 100
        else { return nil }
        return status
    }
}

/// Why the bytes of a peer are no reply. After one of these nothing the peer says can be told apart any more.
public enum ReplyError: Error, Hashable, Sendable {
    /// A line without a code of 200 to 599 and a space, a hyphen or nothing after it; the line, printable.
    case garbage(String)
    /// Lines of one reply with different codes (RFC 5321 §4.2.1 forbids it); the line, printable.
    case mixedCodes(String)
    case tooManyLines
    case tooLong

    public var sentence: String {
        switch self {
        case .garbage(let line): "the peer sent a line that is no SMTP reply: \(line)"
        case .mixedCodes(let line): "the peer sent one reply with different codes: \(line)"
        case .tooManyLines: "the peer sent a reply of more than \(ReplyParser.lineLimit) lines"
        case .tooLong: "the peer sent a reply of more than \(ReplyParser.replyOctetLimit) octets"
        }
    }
}

/// Bytes in with `append`, replies out with `next`. It holds the bytes given and not yet read, at most one line of
/// `lineOctetLimit` and the lines of one reply: call `next` until it gives nil before appending again.
///
/// A bare LF ends a line like CRLF. In mail content that would let messages be smuggled; a reply is passed on to nobody,
/// and old servers do write it. A bare CR is an octet like any other.
public struct ReplyParser: Sendable {
    /// Lines of one reply. The longest honest ones, EHLO replies, have about twenty.
    public static let lineLimit = 100
    /// Octets of a line that are kept, four times what RFC 5321 §4.5.3.1.5 allows; the rest of a line is read and
    /// dropped, though it counts towards `replyOctetLimit`.
    public static let lineOctetLimit = 2048
    /// Octets of one whole reply, line ends included.
    public static let replyOctetLimit = 64 << 10

    private var pending: [UInt8] = []
    private var position = 0
    private var line: [UInt8] = []
    private var lines: [String] = []
    private var code: Int?
    /// Octets of the current reply so far.
    private var octets = 0
    private var failure: ReplyError?

    public init() {}

    /// Whether no byte is left over: neither unread nor of a reply that was begun.
    public var isEmpty: Bool { octets == 0 && position == pending.count }

    public mutating func append(_ bytes: [UInt8]) {
        guard failure == nil else { return }
        if position == pending.count { (pending, position) = (bytes, 0) } else { pending += bytes }
    }

    /// The next whole reply; nil when more bytes are needed. Once it has thrown it throws the same again.
    public mutating func next() throws(ReplyError) -> PeerReply? {
        if let failure { throw failure }
        do {
            return try readReply()
        } catch {
            failure = error
            (pending, position, line, lines) = ([], 0, [], [])
            throw error
        }
    }

    private mutating func readReply() throws(ReplyError) -> PeerReply? {
        while position < pending.count {
            let byte = pending[position]
            position += 1
            octets += 1
            guard octets <= Self.replyOctetLimit else { throw .tooLong }
            guard byte == 10 else {
                if line.count < Self.lineOctetLimit { line.append(byte) }
                continue
            }
            if let reply = try endLine() { return reply }
        }
        return nil
    }

    /// Takes the line that is complete; a reply when it was its last.
    private mutating func endLine() throws(ReplyError) -> PeerReply? {
        if line.last == 13 { line.removeLast() }
        defer { line.removeAll(keepingCapacity: true) }
        let separator = line.count > 3 ? line[3] : 32
        guard let code = Self.code(of: line), separator == 32 || separator == UInt8(ascii: "-") else {
            throw .garbage(PeerText.printable(line, limit: 200))
        }
        guard self.code ?? code == code else { throw .mixedCodes(PeerText.printable(line, limit: 200)) }
        guard lines.count < Self.lineLimit else { throw .tooManyLines }
        lines.append(PeerText.printable(line.dropFirst(4), limit: Self.lineOctetLimit))
        self.code = code
        guard separator == 32 else { return nil }
        defer { (self.code, lines, octets) = (nil, [], 0) }
        return PeerReply(code: code, lines: lines)
    }

    /// RFC 5321 §4.2: three digits; the first is 2 to 5 (1yz needs an extension that we never ask for).
    private static func code(of line: [UInt8]) -> Int? {
        guard line.count >= 3, line[..<3].allSatisfy({ (48...57).contains($0) }) else { return nil }
        let code = line[..<3].reduce(0) { $0 * 10 + Int($1) - 48 }
        return (200...599).contains(code) ? code : nil
    }
}
