// Owns: reading what a peer offers from its greeting and its EHLO reply. Refuses: acting on it (ClientMachine).

import MailModel

extension PeerCapabilities {
    /// What a HELO reply or a greeting says: the name, no extension.
    init(greeting: PeerReply) {
        name = Self.firstWord(of: greeting)
    }

    /// RFC 5321 §4.1.1.1: the first line names the server, each further line is a keyword with parameters. Keywords
    /// count without case; unknown ones are ignored.
    init(greetingName: String, extensions reply: PeerReply) {
        name = greetingName.isEmpty ? Self.firstWord(of: reply) : greetingName
        for line in reply.lines.dropFirst() {
            let words = line.split(separator: " ")
            switch words.first?.uppercased() {
            case "PIPELINING": pipelining = true
            case "8BITMIME": eightBitMIME = true
            case "SMTPUTF8": smtpUTF8 = true
            case "DSN": dsn = true
            case "ENHANCEDSTATUSCODES": enhancedStatusCodes = true
            case "XACTION": takesAction = true
            case "SIZE": sizeLimit = Self.size(words.dropFirst().first)
            default: break
            }
        }
    }

    /// RFC 1870 §4: a missing number says nothing about a limit; one too large for us is none that we can reach.
    private static func size(_ word: Substring?) -> Int {
        guard let word, word.utf8.allSatisfy({ (48...57).contains($0) }) else { return 0 }
        return Int(word) ?? 0
    }

    private static func firstWord(of reply: PeerReply) -> String {
        String((reply.lines.first ?? "").split(separator: " ").first?.prefix(Mailbox.domainLimit) ?? "")
    }
}
