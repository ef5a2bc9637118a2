// Owns: reading one command line of SMTP or LMTP. Refuses: the order of commands, limits, who may do what: those are
// the machine's and its caller's.

import MailModel

/// A well-formed command of RFC 5321 §4.1.1 or RFC 2033 §4.1.
enum Command: Hashable {
    case helo(String)
    case ehlo(String)
    case lhlo(String)
    /// MAIL FROM.
    case mail(SenderRequest)
    /// RCPT TO with the value of XACTION; the path is never null.
    case rcpt(Path, action: String?)
    case data
    case rset
    case noop
    case vrfy
    case expn
    case help
    case quit

    /// RFC 5321 §4.5.3.1.2.
    static let helloLimit = 255

    /// Reads a line without its CR LF; spaces and tabs at its end are ignored (RFC 5321 §4.1.1 asks for that).
    /// - Throws: the reply to a line that is no command or has arguments it can't have.
    init(_ line: ArraySlice<UInt8>, takesAction: Bool) throws(Refusal) {
        let last = line.lastIndex { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        let line = last.map { line[...$0] } ?? []
        let verb = line.prefix { $0 != UInt8(ascii: " ") }
        let argument = line[verb.endIndex...].drop { $0 == UInt8(ascii: " ") }
        // No command is longer; a long first word is not worth a copy.
        switch verb.count <= 4 ? String(decoding: verb, as: UTF8.self).uppercased() : "" {
        case "HELO": self = .helo(try Self.readHello(argument))
        case "EHLO": self = .ehlo(try Self.readHello(argument))
        case "LHLO": self = .lhlo(try Self.readHello(argument))
        case "MAIL": self = .mail(try Self.readMail(argument))
        case "RCPT": self = try Self.readRcpt(argument, takesAction: takesAction)
        case "DATA": self = try Self.withoutArgument(.data, argument)
        case "RSET": self = try Self.withoutArgument(.rset, argument)
        case "QUIT": self = try Self.withoutArgument(.quit, argument)
        case "NOOP": self = .noop
        case "HELP": self = .help
        case "VRFY": self = try Self.withArgument(.vrfy, argument)
        case "EXPN": self = try Self.withArgument(.expn, argument)
        default: throw Refusal(ServerReplies.unknownCommand)
        }
    }

    private static func withoutArgument(_ command: Command, _ argument: ArraySlice<UInt8>) throws(Refusal) -> Command {
        guard argument.isEmpty else { throw Refusal(ServerReplies.noArguments) }
        return command
    }

    private static func withArgument(_ command: Command, _ argument: ArraySlice<UInt8>) throws(Refusal) -> Command {
        guard !argument.isEmpty else { throw Refusal(ServerReplies.argumentNeeded) }
        return command
    }

    /// Real clients name themselves with all kinds of things that are no domain, and RFC 5321 §4.1.4 wants them served;
    /// but the name goes into Received and the log, so it is printable ASCII without spaces.
    private static func readHello(_ argument: ArraySlice<UInt8>) throws(Refusal) -> String {
        guard (1...helloLimit).contains(argument.count), argument.allSatisfy({ (33...126).contains($0) }) else {
            throw Refusal(ServerReplies.badHello)
        }
        return String(decoding: argument, as: UTF8.self)
    }

    private static func readMail(_ argument: ArraySlice<UInt8>) throws(Refusal) -> SenderRequest {
        guard let text = try readText(argument, after: "FROM:") else { throw Refusal(ServerReplies.badMail) }
        guard let (path, rest) = Path.read(text) else { throw Refusal(ServerReplies.badReversePath) }
        var sender: SenderRequest
        switch path {
        case .null: sender = SenderRequest(reversePath: .null)
        case .mailbox(let mailbox): sender = SenderRequest(reversePath: .mailbox(mailbox))
        case .postmaster: throw Refusal(ServerReplies.badReversePath)
        }
        try ParameterParser.readSender(rest, into: &sender)
        return sender
    }

    private static func readRcpt(_ argument: ArraySlice<UInt8>, takesAction: Bool) throws(Refusal) -> Command {
        guard let text = try readText(argument, after: "TO:") else { throw Refusal(ServerReplies.badRcpt) }
        guard let (path, rest) = Path.read(text), path != .null else { throw Refusal(ServerReplies.badForwardPath) }
        return .rcpt(path, action: try ParameterParser.readAction(rest, takesAction: takesAction))
    }

    /// What follows `prefix` (any case), as text; nil when it does not stand there.
    private static func readText(_ argument: ArraySlice<UInt8>, after prefix: String) throws(Refusal) -> Substring? {
        let found = argument.prefix(prefix.utf8.count)
        guard String(decoding: found, as: UTF8.self).uppercased() == prefix else { return nil }
        guard argument.allSatisfy({ $0 < 128 }) else { throw Refusal(ServerReplies.notASCII) }
        return Substring(String(decoding: argument[found.endIndex...], as: UTF8.self))
    }
}
