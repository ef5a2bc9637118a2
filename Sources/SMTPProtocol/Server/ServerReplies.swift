// Owns: every reply the server gives by itself, code, enhanced status code and text. Refuses: when to give which; the
// machine and the parsers decide. Replies about a mailbox or about storage come from the caller.

import MailModel

/// Code and enhanced status code of each follow RFC 5321 §4.2.2, RFC 3463 and the registry of RFC 5248. The greeting,
/// the answers to HELO, EHLO and LHLO and 354 carry no enhanced status code (RFC 2034 §4).
enum ServerReplies {
    // Session.
    static func banner(_ configuration: ServerConfiguration) -> Reply {
        Reply(220, nil, "\(configuration.hostname) \(configuration.flavour == .smtp ? "ESMTP" : "LMTP") Pouch")
    }
    static func helo(_ configuration: ServerConfiguration) -> Reply { Reply(250, nil, configuration.hostname) }
    /// RFC 5321 §4.1.1.1, RFC 2920, RFC 1870, RFC 6152, RFC 2034. XACTION is ours, for the agent's socket alone.
    static func extensions(_ configuration: ServerConfiguration) -> Reply {
        let offers = ["PIPELINING", "SIZE \(configuration.maxMessageSize)", "8BITMIME", "ENHANCEDSTATUSCODES"]
        let ours = configuration.takesAction ? ["XACTION"] : []
        return Reply(250, nil, [configuration.hostname] + offers + ours)
    }
    static func goodbye(_ configuration: ServerConfiguration) -> Reply {
        Reply(221, status(2, 0, 0), "\(configuration.hostname) closes the connection")
    }
    static func timedOut(_ configuration: ServerConfiguration) -> Reply {
        Reply(421, status(4, 4, 2), "\(configuration.hostname) waited too long for you and closes the connection")
    }
    static func shuttingDown(_ configuration: ServerConfiguration) -> Reply {
        Reply(421, status(4, 3, 2), "\(configuration.hostname) is stopping; try again later")
    }
    static let tooManyMails = Reply(421, status(4, 7, 0), "Too many messages in one session; connect again")
    static let tooManyFailures = Reply(421, status(4, 7, 0), "Too many refused commands; closing the connection")

    // Commands that always succeed.
    static let ok = Reply(250, status(2, 0, 0), "Ok")
    static let senderOk = Reply(250, status(2, 1, 0), "Sender ok")
    static let recipientOk = Reply(250, status(2, 1, 5), "Recipient ok")
    static let startContent = Reply(354, nil, "Send the message; end it with <CRLF>.<CRLF>")
    static let notVerified = Reply(252, status(2, 5, 0), "Mailboxes are not verified; send mail and see")
    static let help = Reply(214, status(2, 0, 0), "See RFC 5321")

    // Lines and commands that can't be read.
    static let lineTooLong = Reply(500, status(5, 5, 2), "Line over \(LineFramer.limit) octets")
    static let bareLineEnd = Reply(500, status(5, 5, 2), "Lines must end with CR LF, without any other CR or LF")
    static let unknownCommand = Reply(500, status(5, 5, 1), "Unknown command")
    static let notImplemented = Reply(502, status(5, 5, 1), "Lists are not expanded here")
    static let badHello = Reply(501, status(5, 5, 4), "Say your host name, printable and without spaces")
    static let noArguments = Reply(501, status(5, 5, 4), "This command takes no argument")
    static let argumentNeeded = Reply(501, status(5, 5, 4), "This command needs an argument")
    static let badMail = Reply(501, status(5, 5, 2), "Syntax: MAIL FROM:<reverse-path> [parameters]")
    static let badRcpt = Reply(501, status(5, 5, 2), "Syntax: RCPT TO:<forward-path> [parameters]")
    static let badReversePath = Reply(501, status(5, 1, 7), "This is no reverse-path")
    static let badForwardPath = Reply(501, status(5, 1, 3), "This is no forward-path")
    /// RFC 6531 §3.5: without SMTPUTF8 an address must be ASCII.
    static let notASCII = Reply(553, status(5, 6, 7), "Addresses must be ASCII here")
    static let badParameter = Reply(501, status(5, 5, 4), "Malformed or repeated parameter")
    static let unknownParameter = Reply(555, status(5, 5, 4), "Unknown parameter")

    // Commands out of order.
    static let helloFirst = Reply(503, status(5, 5, 1), "Introduce yourself first")
    static let nestedMail = Reply(503, status(5, 5, 1), "A transaction is open already; RSET ends it")
    static let mailFirst = Reply(503, status(5, 5, 1), "MAIL must come first")
    static let rcptFirst = Reply(503, status(5, 5, 1), "RCPT must come first")
    static let noRecipients = Reply(554, status(5, 5, 1), "No recipient was accepted")
    static let noRecipientsLMTP = Reply(503, status(5, 5, 1), "No recipient was accepted")

    // Limits and content.
    static let tooManyRecipients = Reply(
        452, status(4, 5, 3), "Too many recipients; send the rest in a new transaction")
    static let tooBig = Reply(552, status(5, 3, 4), "Message too big")
    static let bareLineEndInContent = Reply(550, status(5, 6, 11), "Message refused: it has a CR or an LF alone")

    // Faults of ours.
    /// The configured host name can't be the domain of `<postmaster>`.
    static let badHostname = Reply(451, status(4, 3, 5), "This server's host name is no domain; ask its postmaster")
    /// Storage gave no usable reply for a message; never taken as stored.
    static let noResult = Reply(451, status(4, 3, 0), "The message could not be stored; try again later")

    private static func status(_ statusClass: Int, _ subject: Int, _ detail: Int) -> EnhancedStatusCode {
        EnhancedStatusCode(statusClass, subject, detail)
    }
}

/// A command that can't be obeyed, with the reply that says why.
struct Refusal: Error, Hashable {
    let reply: Reply

    init(_ reply: Reply) { self.reply = reply }
}
