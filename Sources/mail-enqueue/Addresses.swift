// Owns: addresses given as arguments: lists, display names and bare names, as sendmail(8)'s callers write them.
// Refuses: addresses of the header (SubmissionHeader).

import CommandKit
import MailModel
import SMTPProtocol

struct Addresses {
    /// Completes bare names.
    let domain: String

    /// A message has no more recipients than this: their envelope must fit into one record of the spool (4 MiB), and
    /// each takes up to 64 + 255 octets and a few of framing.
    static let recipientLimit = 10_000

    /// Each argument is an address or a comma-separated list (`root, "Joe D." <joe@example.org>`).
    func recipients(_ words: [String]) throws(CommandFailure) -> [Mailbox] {
        var found: [Mailbox] = []
        for word in words {
            let list = mailboxes(word)
            guard let list, !list.isEmpty else { throw Self.malformed("recipient", word) }
            found += list
        }
        return found
    }

    /// `-f`: empty or `<>` is the null reverse-path.
    func reversePath(_ word: String) throws(CommandFailure) -> ReversePath {
        if word.isEmpty || word == "<>" { return .null }
        guard let list = mailboxes(word), let mailbox = list.first, list.count == 1 else {
            throw Self.malformed("sender", word)
        }
        return .mailbox(mailbox)
    }

    /// Each once, in the order given; no more than the limit.
    static func unique(_ mailboxes: [Mailbox]) throws(CommandFailure) -> [Mailbox] {
        var seen: Set<Mailbox> = []
        let unique = mailboxes.filter { seen.insert($0).inserted }
        guard unique.count <= recipientLimit else {
            throw CommandFailure(
                .dataError,
                "the message has \(unique.count) recipients; at most \(recipientLimit) are taken. Send it in parts.")
        }
        return unique
    }

    static func malformed(_ role: String, _ text: String) -> CommandFailure {
        let shown = text.unicodeScalars.prefix(200)
        return CommandFailure(
            .dataError,
            "the \(role) \"\(String(shown))\(text.unicodeScalars.count > 200 ? "..." : "")\" is no address. Give "
                + "user@domain, at most \(Mailbox.localPartLimit) octets before the @ and \(Mailbox.domainLimit) after."
        )
    }

    /// nil when any of them can't be understood. In a header a line end may be a fold; an argument has none.
    private func mailboxes(_ word: String) -> [Mailbox]? {
        guard word.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }) else { return nil }
        let list = AddressList(Array(word.utf8))
        guard !list.isCut else { return nil }
        var found: [Mailbox] = []
        for element in list.elements {
            switch element {
            case .mailbox(let mailbox): found.append(mailbox)
            case .bare(let name):
                guard let mailbox = Mailbox(localPart: name.local, domain: domain) else { return nil }
                found.append(mailbox)
            case .malformed: return nil
            }
        }
        return found
    }
}
