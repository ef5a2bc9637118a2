// Owns: a server's reply as a value and as bytes. Refuses: deciding which reply to give, reading replies of others
// (ReplyParser).

import MailModel

/// A reply of RFC 5321 §4.2: a three-digit code, an enhanced status code where one belongs (RFC 2034), lines of text.
public struct Reply: Hashable, Sendable {
    public let code: Int
    public let status: EnhancedStatusCode?
    /// At least one line; printable, without line ends.
    public let lines: [String]
    /// The reply as it goes over the wire, CRLF included; the enhanced status code stands on every line (RFC 2034 §4).
    /// Control characters in a line, which could end it or forge another, go out as `?`. Put together once: most replies
    /// are the same for every message.
    public let bytes: [UInt8]

    /// - Parameter code: 200 to 599. RFC 5321 §4.2.1 knows second digits up to 5; an operator's `error:` may name others.
    public init(_ code: Int, _ status: EnhancedStatusCode? = nil, _ lines: [String]) {
        precondition((200...599).contains(code) && !lines.isEmpty)
        (self.code, self.status, self.lines) = (code, status, lines)
        bytes = Self.bytes(code, status, lines)
    }

    public init(_ code: Int, _ status: EnhancedStatusCode? = nil, _ line: String) { self.init(code, status, [line]) }

    public var isPositive: Bool { code < 400 }
    public var isTemporary: Bool { (400..<500).contains(code) }
    public var isPermanent: Bool { code >= 500 }

    /// The reply on one line, as logs and attempts keep it: `550 5.1.1 No such user`.
    public var summary: String { "\(code) " + (status.map { "\($0) " } ?? "") + lines.joined(separator: " ") }

    private static func bytes(_ code: Int, _ status: EnhancedStatusCode?, _ lines: [String]) -> [UInt8] {
        let start = Array("\(code)".utf8)
        let mark = status.map { Array("\($0) ".utf8) } ?? []
        var out: [UInt8] = []
        out.reserveCapacity(lines.reduce(0) { $0 + $1.utf8.count + start.count + mark.count + 3 })
        for (index, line) in lines.enumerated() {
            out += start
            out.append(UInt8(ascii: index == lines.count - 1 ? " " : "-"))
            out += mark
            let begin = out.count
            out += line.utf8
            for place in begin..<out.count where out[place] < 32 || out[place] == 127 { out[place] = UInt8(ascii: "?") }
            out += [13, 10]
        }
        return out
    }
}
