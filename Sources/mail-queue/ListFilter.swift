// Owns: which messages a list shows. Refuses: reading the queue.

import ArgumentParser
import MailModel
import QueueKit

/// All that are given must hold. Recipients are those that are left.
struct ListFilter: ParsableArguments {
    @Option(
        help: ArgumentHelp("Messages from this sender: an address, @domain, or <> for DSNs.", valueName: "address"))
    var from: AddressPattern?

    @Option(help: ArgumentHelp("Messages to this recipient: an address or @domain.", valueName: "address"))
    var to: AddressPattern?

    @Option(help: ArgumentHelp("Messages with a recipient in this domain.", valueName: "domain"))
    var domain: String?

    @Option(help: ArgumentHelp("Messages in this state: submitted, queued, deferred, held.", valueName: "state"))
    var state: MessageSummary.State?

    @Option(help: ArgumentHelp("Messages that arrived this long ago or before: 30m, 2d12h.", valueName: "age"))
    var older: Age?

    var isGiven: Bool { from != nil || to != nil || domain != nil || state != nil || older != nil }

    func validate() throws {
        if let domain, !Mailbox.isDomain(domain) { throw ValidationError("\"\(domain)\" is no domain.") }
    }

    func matches(_ message: MessageSummary, now: Timestamp) -> Bool {
        if let state, message.state != state { return false }
        if let older, now.since(message.envelope.arrival) < older.duration { return false }
        if let from, !from.matches(message.envelope.reversePath) { return false }
        guard to != nil || domain != nil else { return true }
        return message.outstanding.contains { recipient in
            let mailbox = recipient.recipient.forwardPath
            return (to?.matches(.mailbox(mailbox)) ?? true)
                && (domain.map { $0.lowercased() == mailbox.domain.lowercased() } ?? true)
        }
    }
}

extension MessageSummary {
    /// The recipients that are not final.
    var outstanding: [RecipientSummary] { recipients.filter { !$0.status.isFinal } }
}

extension MessageSummary.State: ExpressibleByArgument {}

/// `alice@example.org`, `@example.org` or `<>`; angle brackets around an address are allowed.
enum AddressPattern: ExpressibleByArgument {
    case mailbox(Mailbox)
    case domain(String)
    case null

    init?(argument: String) {
        let isBracketed = argument.hasPrefix("<") && argument.hasSuffix(">") && argument.count > 1
        let text = isBracketed ? String(argument.dropFirst().dropLast()) : argument
        if text.isEmpty {
            self = .null
        } else if text.hasPrefix("@") {
            guard Mailbox.isDomain(String(text.dropFirst())) else { return nil }
            self = .domain(text.dropFirst().lowercased())
        } else {
            guard let mailbox = Mailbox(text) else { return nil }
            self = .mailbox(mailbox)
        }
    }

    func matches(_ path: ReversePath) -> Bool {
        switch self {
        case .null: path == .null
        case .mailbox(let mailbox): path == .mailbox(mailbox)
        case .domain(let domain): path.mailbox?.domain.lowercased() == domain
        }
    }
}

/// `45s`, `30m`, `12h`, `2d`, `1w`, or several in a row: `2d12h`.
struct Age: ExpressibleByArgument {
    let duration: Duration

    init?(argument: String) {
        var rest = argument[...]
        var seconds: Int64 = 0
        // Six digits of weeks are some 10,000 years, and ten such parts far from overflow.
        guard !rest.isEmpty, rest.utf8.count <= 40 else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { ("0"..."9").contains($0) }
            guard digits.utf8.count <= 6, let number = Int64(digits) else { return nil }
            rest = rest.dropFirst(digits.count)
            guard let unit = rest.popFirst(),
                let factor = ["s": Int64(1), "m": 60, "h": 3600, "d": 86400, "w": 604_800][unit]
            else { return nil }
            seconds += number * factor
        }
        duration = .seconds(seconds)
    }
}
