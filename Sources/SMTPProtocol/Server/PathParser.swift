// Owns: reverse-paths and forward-paths of RFC 5321 §4.1.2 as MAIL and RCPT carry them. Refuses: parameters behind the
// path; whether the mailbox exists.

import MailModel

/// `<...>` from a command, read from ASCII text.
enum Path: Hashable {
    /// `<>`: a reverse-path of nobody.
    case null
    /// `<postmaster>` without domain, in any case (RFC 5321 §4.5.1).
    case postmaster
    case mailbox(Mailbox)

    /// Reads a path from the beginning of `text`, spaces before it skipped: clients that write `FROM: <a@b>` exist.
    /// - Returns: nil when there is no path; else it and what follows its `>`.
    static func read(_ text: Substring) -> (path: Path, rest: Substring)? {
        let text = text.drop { $0 == " " }
        guard text.utf8.first == UInt8(ascii: "<") else { return nil }
        let inner = text.dropFirst()
        if inner.utf8.first == UInt8(ascii: ">") { return (.null, inner.dropFirst()) }
        guard let mailbox = skipSourceRoute(inner), let (local, rest) = Mailbox.readLocalPart(mailbox) else {
            return nil
        }
        if rest.utf8.first == UInt8(ascii: ">") {
            return local.lowercased() == "postmaster" ? (.postmaster, rest.dropFirst()) : nil
        }
        guard rest.utf8.first == UInt8(ascii: "@"), let (domain, end) = readDomain(rest.dropFirst()) else { return nil }
        return Mailbox(localPart: local, domain: domain).map { (.mailbox($0), end) }
    }

    /// RFC 5321 §4.1.2 and appendix C: `@a,@b:` before a mailbox must be accepted and should be ignored.
    private static func skipSourceRoute(_ text: Substring) -> Substring? {
        guard text.utf8.first == UInt8(ascii: "@") else { return text }
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let hops = text[..<colon].split(separator: ",", omittingEmptySubsequences: false)
        guard hops.allSatisfy({ $0.first == "@" && Mailbox.isDomain(String($0.dropFirst())) }) else { return nil }
        return text[colon...].dropFirst()
    }

    /// A domain or an address literal and the `>` behind it.
    private static func readDomain(_ text: Substring) -> (domain: String, rest: Substring)? {
        let isLiteral = text.utf8.first == UInt8(ascii: "[")
        let last = UInt8(ascii: isLiteral ? "]" : ">")
        guard var end = text.utf8.firstIndex(of: last) else { return nil }
        if isLiteral { end = text.utf8.index(after: end) }
        guard text[end...].utf8.first == UInt8(ascii: ">") else { return nil }
        return (String(text[..<end]), text[end...].dropFirst())
    }
}
