// Owns: knowing a message that was delivered to this mailbox before. Refuses: counting Received fields; a listener does.

import MailModel
import SMTPProtocol

/// Looks for our Delivered-To in the header while content passes by.
struct LoopCheck {
    private let recipient: Mailbox
    private var scanner = HeaderScanner()
    private var isDone = false

    init(_ recipient: Mailbox) { self.recipient = recipient }

    mutating func look(at content: ArraySlice<UInt8>) throws(DeliveryFailure) {
        guard !isDone else { return }
        scanner.append(content)
        if scanner.end != nil { try judge() }
    }

    mutating func finish() throws(DeliveryFailure) {
        guard !isDone else { return }
        scanner.finish()
        try judge()
    }

    private mutating func judge() throws(DeliveryFailure) {
        isDone = true
        let isLoop = scanner.fields.contains { field in
            guard field.isNamed("Delivered-To") else { return false }
            let value = String(decoding: scanner.unfolded(field), as: UTF8.self)
            return Mailbox(value) == recipient || value.lowercased() == recipient.description.lowercased()
        }
        scanner = HeaderScanner()
        guard !isLoop else {
            throw DeliveryFailure(
                554, EnhancedStatusCode(5, 4, 6), "mail loop: this message was delivered to \(recipient) before")
        }
    }
}
