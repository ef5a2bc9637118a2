// Owns: putting values into the `%{...}` of an action's path, so that no address of a stranger leads elsewhere.
// Refuses: opening anything; which words may stand there (Routing checks the configuration).

import MailModel

/// The path of a Maildir as the configuration has it: `~/Maildir`, `/srv/%{dest.domain}/%{dest.user:lowercase}`.
struct PathTemplate {
    static let usual = "~/Maildir"
    /// PATH_MAX with room for the name of a file.
    static let lengthLimit = 3800

    let text: String

    struct Values {
        /// The account that is acted as, which the administrator made: its words stand as they are.
        var username: String
        var home: String
        var reversePath: ReversePath
        var recipient: Mailbox
    }

    /// - Returns: an absolute path without `.` and `..`.
    func path(_ values: Values) throws(DeliveryFailure) -> String {
        guard values.home.hasPrefix("/") else {
            throw DeliveryFailure(451, .init(4, 3, 5), "the user \(values.username) has no home directory")
        }
        let path = try expanded(values)
        let parts = path.split(separator: "/")
        guard path.hasPrefix("/"), !parts.isEmpty else {
            throw DeliveryFailure(451, .init(4, 3, 5), "the path of the mailbox is not absolute")
        }
        guard !parts.contains(where: { $0 == "." || $0 == ".." }) else {
            throw DeliveryFailure(550, .init(5, 1, 3), "this address would lead out of the directory of mailboxes")
        }
        guard path.utf8.count <= Self.lengthLimit, parts.allSatisfy({ $0.utf8.count <= 255 }) else {
            throw DeliveryFailure(550, .init(5, 1, 3), "this address is too long for the name of a mailbox here")
        }
        return "/" + parts.joined(separator: "/")
    }

    private func expanded(_ values: Values) throws(DeliveryFailure) -> String {
        var rest = Substring(text)
        var path = ""
        if rest == "~" || rest.hasPrefix("~/") {
            path = values.home
            rest = rest.dropFirst()
        }
        while let start = rest.firstIndex(of: "%") {
            path += rest[..<start]
            rest = rest[start...]
            guard rest.hasPrefix("%{"), let end = rest.firstIndex(of: "}") else {
                path += "%"
                rest = rest.dropFirst()
                continue
            }
            path += try PathSpecifier(rest[..<end].dropFirst(2)).value(values)
            rest = rest[end...].dropFirst()
        }
        return path + rest
    }
}

/// The inside of one `%{name[from:to]:modifier|modifier}`.
private struct PathSpecifier {
    private let name: Substring
    private let slice: [Substring]
    private let modifiers: [Substring]

    init(_ text: Substring) {
        name = text.prefix { $0 != "[" && $0 != ":" }
        var rest = text[name.endIndex...]
        var slice: [Substring] = []
        if rest.first == "[", let end = rest.firstIndex(of: "]") {
            slice = rest[..<end].dropFirst().split(separator: ":", omittingEmptySubsequences: false)
            rest = rest[end...].dropFirst()
        }
        self.slice = slice
        modifiers = rest.dropFirst().split(separator: "|")
    }

    func value(_ values: PathTemplate.Values) throws(DeliveryFailure) -> String {
        guard let (raw, isTrusted) = rawValue(values) else {
            throw DeliveryFailure(451, .init(4, 3, 5), "%{\(name)} cannot stand in the path of a mailbox")
        }
        var value = sliced(raw)
        if modifiers.contains("lowercase") { value = value.lowercased() }
        if modifiers.contains("uppercase") { value = value.uppercased() }
        if modifiers.contains("strip") { value = String(value.prefix { $0 != "+" }) }
        if !isTrusted { value = Self.harmless(value, keepsSigns: modifiers.contains("raw")) }
        guard !value.isEmpty else {
            throw DeliveryFailure(451, .init(4, 3, 5), "%{\(name)} is empty for this message")
        }
        return value
    }

    private func rawValue(_ values: PathTemplate.Values) -> (text: String, isTrusted: Bool)? {
        switch name {
        case "user.username": (values.username, true)
        case "user.directory": (values.home, true)
        case "sender": (values.reversePath.description, false)
        case "sender.user": (values.reversePath.mailbox?.localPart ?? "", false)
        case "sender.domain": (values.reversePath.mailbox?.domain ?? "", false)
        case "mbox.from": (values.reversePath.mailbox?.description ?? "MAILER-DAEMON", false)
        // The runner hands over the recipient that the aliases led to; the agent knows no other.
        case "dest", "rcpt": (values.recipient.description, false)
        case "dest.user", "rcpt.user": (values.recipient.localPart, false)
        case "dest.domain", "rcpt.domain": (values.recipient.domain, false)
        default: nil
        }
    }

    /// `[2]` is one character, `[1:3]` goes up to the third, negative numbers count from the end, as in smtpd.conf(5).
    private func sliced(_ text: String) -> String {
        guard let first = slice.first else { return text }
        let characters = Array(text)
        let from = index(first, of: characters.count) ?? 0
        guard slice.count > 1 else { return characters.indices.contains(from) ? String(characters[from]) : "" }
        let to = min(index(slice[1], of: characters.count) ?? characters.count, characters.count)
        return from < to ? String(characters[max(0, from)..<to]) : ""
    }

    private func index(_ text: Substring, of count: Int) -> Int? {
        guard let number = Int(text) else { return nil }
        return number < 0 ? max(0, count + number) : number
    }

    /// A slash is never kept, whatever the modifiers say.
    private static func harmless(_ text: String, keepsSigns: Bool) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isSign = !"._-+=@,".unicodeScalars.contains(scalar)
            let isWord =
                switch scalar {
                case "a"..."z", "A"..."Z", "0"..."9": true
                default: scalar.value > 159
                }
            let isControl = scalar.value < 32 || (127...159).contains(scalar.value)
            let isUnsafe = scalar == "/" || isControl || (isSign && !isWord && !keepsSigns)
            result.append(isUnsafe ? ":" : scalar)
        }
        return String(result)
    }
}
