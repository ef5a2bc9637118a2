// Owns: what the agent and the process that delivers say to each other: one job, one final word, one answer. Refuses:
// content, which has a pipe of its own.
//
//     agent                                  mail-relay --deliver, as the user
//     descriptor 3:  {"maildir": ...} LF  -->
//     descriptor 0:  content, CRLF        -->  written to tmp/
//     descriptor 3:  commit OCTETS LF     -->  synced, moved to new/
//     descriptor 1:                       <--  250 2.0.0 ... LF
//
// The end of descriptor 3 without the final word means that nothing may stay.

import CommandKit
import MailModel
import SMTPProtocol

/// One message for one mailbox.
struct DeliveryJob: Hashable, Sendable {
    /// Absolute.
    var maildir: String
    /// The home of whoever the process acts as. It is never made: a home that is missing may just not be mounted.
    var home: String
    var reversePath: ReversePath
    var recipient: Mailbox

    /// Octets of a line: two paths of 4,095 octets and two mailboxes, escaped. It fits into an empty pipe (64 KiB).
    static let lineLimit = 32 << 10

    var line: [UInt8] {
        let value: JSONValue = [
            "maildir": .string(maildir), "home": .string(home), "reverse-path": .string(reversePath.description),
            "recipient": .string(recipient.description),
        ]
        return Array(value.rendered.utf8) + [10]
    }

    init(maildir: String, home: String, reversePath: ReversePath, recipient: Mailbox) {
        (self.maildir, self.home) = (maildir, home)
        (self.reversePath, self.recipient) = (reversePath, recipient)
    }

    /// - Parameter line: without its line end.
    /// - Returns: nil when the line is no job.
    init?(line: some Sequence<UInt8>) {
        let value: JSONValue
        do throws(JSONSyntaxError) { value = try JSONValue(parsing: line) } catch { return nil }
        guard let maildir = value["maildir"]?.string, let home = value["home"]?.string,
            let reverse = value["reverse-path"]?.string,
            let recipient = value["recipient"]?.string.flatMap(Mailbox.init)
        else { return nil }
        for path in [maildir, home] where !path.hasPrefix("/") || path.utf8.contains(0) { return nil }
        let sender = Mailbox(reverse)
        guard sender != nil || reverse.isEmpty else { return nil }
        self.init(
            maildir: maildir, home: home, reversePath: sender.map { .mailbox($0) } ?? .null, recipient: recipient)
    }

    /// The final word: the content was complete and had so many octets, as the pipe carried it.
    static func commitLine(octets: Int) -> [UInt8] { Array("commit \(octets)\n".utf8) }
}

/// The answer is a reply on one line; the agent passes it on. It comes from a process of the user's, so it is read as
/// strictly as a stranger's.
enum DeliveryAnswer {
    /// Octets with the line end.
    static let lineLimit = 1000
    static let textLimit = 450

    static func line(_ reply: Reply) -> [UInt8] { Array(reply.summary.utf8.prefix(lineLimit - 1)) + [10] }

    /// - Parameter line: without its line end.
    /// - Returns: nil for anything but 250, 4xx or 5xx with a fitting enhanced status code and a text.
    static func reply(_ line: some Collection<UInt8>) -> Reply? {
        let words = String(decoding: line, as: UTF8.self)
            .split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard line.count < lineLimit, words.count == 3, words[0].utf8.count == 3, let code = Int(words[0]),
            let status = EnhancedStatusCode(words[1]), status.statusClass == code / 100,
            code == 250 || (400...459).contains(code) || (500...559).contains(code), !words[2].isEmpty
        else { return nil }
        return Reply(code, status, plain(words[2]))
    }

    /// Text as a reply of RFC 5321 can carry it: printable ASCII, at most `textLimit` octets.
    static func plain(_ text: some StringProtocol) -> String {
        let scalars = text.unicodeScalars.prefix(textLimit)
        return String(decoding: scalars.map { (32...126).contains($0.value) ? UInt8($0.value) : 63 }, as: UTF8.self)
    }
}
