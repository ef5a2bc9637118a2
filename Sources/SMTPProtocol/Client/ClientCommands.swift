// Owns: commands as bytes, so that nothing a value holds can end a line or begin another word. Refuses: when to send
// them (ClientTransaction, ClientMachine).

import MailModel

/// Why something can't be put into a command: a result for the recipient concerned, or for all of them.
struct CommandRefusal: Error, Hashable {
    let result: RecipientResult
}

enum ClientCommands {
    static let data: [UInt8] = Array("DATA\r\n".utf8)
    static let reset: [UInt8] = Array("RSET\r\n".utf8)
    static let quit: [UInt8] = Array("QUIT\r\n".utf8)
    /// What ends the content (RFC 5321 §4.1.1.4); the content before it ended with CRLF.
    static let finalDot: [UInt8] = Array(".\r\n".utf8)

    /// RFC 3461 §4.4 and §4.2: longer values need not be taken by anyone, so the parameter is left out.
    static let envelopeIDLimit = 100
    static let originalRecipientLimit = 500

    /// `EHLO name`; nil when the name can't stand in a command.
    static func greeting(_ verb: String, name: String) -> [UInt8]? {
        guard isWord(name), name.utf8.count <= Mailbox.domainLimit else { return nil }
        return Array("\(verb) \(name)\r\n".utf8)
    }

    /// MAIL with the parameters that the peer offered. `wantsUTF8`: SMTPUTF8 is needed and was offered.
    static func mail(_ mail: OutgoingMail, to peer: PeerCapabilities, wantsUTF8: Bool) throws(CommandRefusal) -> [UInt8]
    {
        var text = "MAIL FROM:<" + (try path(mail.reversePath.mailbox, utf8: wantsUTF8, "reverse-path")) + ">"
        if peer.sizeLimit != nil { text += " SIZE=\(max(0, mail.size))" }  // RFC 1870 §6
        if mail.body == .eightBitMIME && peer.eightBitMIME { text += " BODY=8BITMIME" }  // RFC 6152 §2
        if wantsUTF8 { text += " SMTPUTF8" }  // RFC 6531 §3.4
        if peer.dsn {
            switch mail.returnContent {
            case .headers: text += " RET=HDRS"
            case .full: text += " RET=FULL"
            case nil: break
            }
            if let id = mail.envelopeID, !id.isEmpty {
                let encoded = try xtext(id, "envelope identifier")
                if encoded.utf8.count <= envelopeIDLimit { text += " ENVID=\(encoded)" }
            }
        }
        return Array((text + "\r\n").utf8)
    }

    /// RCPT with NOTIFY and ORCPT where the peer offered DSN, and XACTION for the agent.
    static func recipient(
        _ recipient: Recipient, of mail: OutgoingMail, to peer: PeerCapabilities, wantsUTF8: Bool
    ) throws(CommandRefusal) -> [UInt8] {
        let whole = try path(recipient.forwardPath, utf8: wantsUTF8, "forward-path")
        let name = quoted(recipient.forwardPath.localPart)
        var text = "RCPT TO:<\(mail.sendsUserNames ? name : whole)>"
        if peer.dsn {
            if let notify = recipient.notify { text += " NOTIFY=\(keywords(of: notify))" }
            text += try originalRecipient(recipient.originalRecipient)
        }
        if let action = mail.action {
            guard isParameterValue(action) else {
                throw refused(.temporary(EnhancedStatusCode(4, 3, 5), "the action's name can't be sent to the agent"))
            }
            text += " XACTION=\(action)"
        }
        return Array((text + "\r\n").utf8)
    }

    private static func keywords(of notify: NotifyConditions) -> String {
        let words = [(NotifyConditions.success, "SUCCESS"), (.failure, "FAILURE"), (.delay, "DELAY")]
            .filter { notify.contains($0.0) }.map(\.1)
        return words.isEmpty ? "NEVER" : words.joined(separator: ",")
    }

    /// ` ORCPT=type;xtext`, empty when there is nothing to send or no room for it.
    private static func originalRecipient(_ value: String?) throws(CommandRefusal) -> String {
        guard let value else { return "" }
        let octets = value.utf8
        guard let semicolon = octets.firstIndex(of: UInt8(ascii: ";")), semicolon != octets.startIndex else {
            return ""
        }
        let type = String(value[..<semicolon])
        let address = String(value[octets.index(after: semicolon)...])
        let encoded = try xtext(address, "original recipient")
        guard type.utf8.allSatisfy({ HeaderText.isAtom($0) }),
            type.utf8.count + encoded.utf8.count < originalRecipientLimit
        else { return "" }
        return " ORCPT=\(type);\(encoded)"
    }

    // MARK: Values

    /// The mailbox as a path holds it; empty for the null reverse-path.
    private static func path(_ mailbox: Mailbox?, utf8: Bool, _ what: String) throws(CommandRefusal) -> String {
        guard let mailbox else { return "" }
        let text = quoted(mailbox.localPart) + "@" + mailbox.domain
        guard text.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }) else { throw control(what) }
        guard utf8 || mailbox.isASCII else {
            throw refused(
                .permanent(
                    EnhancedStatusCode(5, 6, 7), "the \(what) is not ASCII and the peer does not take SMTPUTF8"))
        }
        return text
    }

    /// Quotes where the local-part is no dot-string (RFC 5321 §4.1.2). It goes by scalars, not by what a reader sees as
    /// one character: a quote followed by a combining accent is a quote to the peer.
    private static func quoted(_ local: String) -> String {
        let octets = Array(local.utf8)
        let parts = octets.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        if parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy { HeaderText.isAtom($0) } }) { return local }
        var out = "\""
        for scalar in local.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { out += "\\" }
            out.unicodeScalars.append(scalar)
        }
        return out + "\""
    }

    /// RFC 3461 §4: 33 to 126 but `+` and `=` stand for themselves, every other octet is `+NN`. Control characters
    /// could be encoded too, but no honest value has them and the next reader may decode them into a header.
    private static func xtext(_ text: String, _ what: String) throws(CommandRefusal) -> String {
        guard text.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }) else { throw control(what) }
        var out: [UInt8] = []
        for octet in text.utf8 {
            if (33...126).contains(octet), octet != UInt8(ascii: "+"), octet != UInt8(ascii: "=") {
                out.append(octet)
            } else {
                out += [UInt8(ascii: "+"), PeerText.hexDigit(octet >> 4), PeerText.hexDigit(octet & 15)]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func control(_ what: String) -> CommandRefusal {
        refused(.permanent(EnhancedStatusCode(5, 1, 3), "the \(what) holds a control character and can't be sent"))
    }

    private static func refused(_ result: RecipientResult) -> CommandRefusal { CommandRefusal(result: result) }

    /// RFC 5321 §4.1.2 esmtp-value.
    private static func isParameterValue(_ text: String) -> Bool {
        (1...200).contains(text.utf8.count) && text.utf8.allSatisfy { (33...126).contains($0) && $0 != 61 }
    }

    private static func isWord(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (33...126).contains($0) }
    }
}
