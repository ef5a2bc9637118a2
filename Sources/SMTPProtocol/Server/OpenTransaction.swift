// Owns: a transaction between MAIL and DATA. Refuses: its content; the order of commands.

import MailModel

/// What MAIL and RCPT have gathered so far.
struct OpenTransaction {
    let sender: SenderRequest
    private(set) var recipients: [RecipientRequest] = []
    /// Whether a recipient was asked for and refused: DATA without recipients is then no fault of the order.
    private(set) var hasRefusedRecipients = false

    init(sender: SenderRequest) { self.sender = sender }

    /// - Parameter recipient: nil for one that was refused.
    mutating func add(_ recipient: RecipientRequest?) {
        if let recipient { recipients.append(recipient) } else { hasRefusedRecipients = true }
    }

    func finished(greeting: PeerGreeting?) -> Transaction {
        Transaction(sender: sender, recipients: recipients, greeting: greeting ?? PeerGreeting(name: ""))
    }
}

extension Path {
    /// The mailbox of a forward-path; `<postmaster>` is the one of `hostname`. nil for the null path, and for a host
    /// name that is no domain.
    func mailbox(at hostname: String) -> Mailbox? {
        switch self {
        case .null: nil
        case .postmaster: Mailbox(localPart: "postmaster", domain: hostname)
        case .mailbox(let mailbox): mailbox
        }
    }
}
