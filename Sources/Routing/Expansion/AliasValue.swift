// Owns: reading the values of aliases and virtual tables. Refuses: expanding them (Expander).

import MailModel

/// One target of an alias.
public enum AliasTarget: Hashable, Sendable {
    /// A local user, sub-address included.
    case user(String)
    case address(Mailbox)
    /// An absolute path.
    case file(String)
    /// Without the `|`.
    case command(String)
    /// `:include:/path`.
    case include(String)
    /// `error:CODE text`.
    case error(AliasError)
}

/// `error:CODE text`: what a sender is told.
public struct AliasError: Hashable, Sendable {
    /// 400 to 599.
    public var code: Int
    public var status: EnhancedStatusCode
    /// Printable ASCII.
    public var text: String

    public init(code: Int, status: EnhancedStatusCode, text: String) {
        (self.code, self.status, self.text) = (code, status, text)
    }

    public var isTemporary: Bool { code < 500 }
    /// As a server says it: `550 5.1.1 text`.
    public var summary: String { "\(code) \(status) \(text)" }
}

public enum AliasValue {
    /// Targets of one value at most: a longer list belongs into an `:include:` file, which has its own bound.
    public static let targetLimit = 1000
    /// RFC 5321 §4.5.3.1.5 leaves a reply line 512 octets, code and line end included.
    static let errorTextLimit = 450

    /// Reads `target, target...`; quotes keep blanks and commas together. A `#` that begins a word outside quotes begins
    /// a comment, but not in the text of an `error:`.
    public static func parse(_ text: String) throws(MalformedValue) -> [AliasTarget] {
        if let error = try errorTarget(text) { return [.error(error)] }
        var targets: [AliasTarget] = []
        for item in try split(text) {
            guard targets.count < targetLimit else {
                throw MalformedValue("an alias has more than \(targetLimit) targets")
            }
            targets.append(try target(item))
        }
        guard !targets.isEmpty else { throw MalformedValue("an alias has no target") }
        return targets
    }

    /// The items between commas, without blanks around them. A quote protects up to the next quote.
    private static func split(_ text: String) throws(MalformedValue) -> [Substring] {
        var items: [Substring] = []
        var start = text.startIndex
        var end = text.endIndex
        var quoted = false
        var escaped = false
        var last: Character = " "
        for index in text.indices {
            let character = text[index]
            defer { last = character }
            if escaped {
                escaped = false
            } else if quoted && character == "\\" {
                escaped = true
            } else if character == "\"" {
                quoted.toggle()
            } else if character == ",", !quoted {
                items.append(trimmed(text[start..<index]))
                start = text.index(after: index)
            } else if character == "#", !quoted, last == " " || last == "\t" || last == "," {
                end = index
                break
            }
        }
        guard !quoted else { throw MalformedValue("a quote is not closed in \"\(text.prefix(80))\"") }
        items.append(trimmed(text[start..<end]))
        // A comma at the end is harmless: lists over several lines often have one.
        if items.count > 1, items.last?.isEmpty == true { items.removeLast() }
        guard !items.contains(where: \.isEmpty) else {
            throw MalformedValue("an empty target in \"\(text.prefix(80))\"; remove a comma")
        }
        return items
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }

    private static func target(_ item: Substring) throws(MalformedValue) -> AliasTarget {
        // A quoted local-part has something behind its closing quote; a quoted item has not.
        let text = item.first == "\"" && closing(item) == item.indices.last ? unquoted(item) : String(item)
        guard text.utf8.count <= Values.pathLimit else { throw MalformedValue("a target longer than 4095 octets") }
        if let error = try errorTarget(text) { return .error(error) }
        if text.first == "|" { return .command(try command(text.dropFirst())) }
        if text.lowercased().hasPrefix(":include:") { return .include(try path(String(text.dropFirst(9)))) }
        if text.first == "/" { return .file(try path(text)) }
        if text.contains("@") {
            guard let mailbox = Mailbox(text) else { throw MalformedValue("\"\(text.prefix(80))\" is no address") }
            return .address(mailbox)
        }
        guard isUser(text) else {
            throw MalformedValue(
                "\"\(text.prefix(80))\" is no target; expected a user, an address, /file, |command, :include:/file or error:"
            )
        }
        return .user(text)
    }

    private static func command(_ text: Substring) throws(MalformedValue) -> String {
        let inner = text.first == "\"" && closing(text) == text.indices.last ? unquoted(text) : String(trimmed(text))
        guard !inner.isEmpty else { throw MalformedValue("\"|\" without a command") }
        return inner
    }

    private static func path(_ text: String) throws(MalformedValue) -> String {
        if let wrong = Values.wrongPath(text) { throw MalformedValue("the path \(wrong)") }
        return text
    }

    private static func closing(_ text: Substring) -> Substring.Index? {
        var escaped = false
        for index in text.indices.dropFirst() {
            if escaped {
                escaped = false
            } else if text[index] == "\\" {
                escaped = true
            } else if text[index] == "\"" {
                return index
            }
        }
        return nil
    }

    private static func unquoted(_ text: Substring) -> String {
        var out = ""
        var escaped = false
        for character in text.dropFirst().dropLast() {
            if character == "\\" && !escaped {
                escaped = true
            } else {
                out.append(character)
                escaped = false
            }
        }
        return out
    }

    /// A local-part of letters, digits and the signs of RFC 5322 §3.2.3 atext and the dot, without a leading hyphen.
    static func isUser(_ text: String) -> Bool {
        text.first != "-" && Mailbox("\(text)@x").map { $0.localPart == text } ?? false
    }

    // MARK: error:

    /// nil when the text begins with neither `error:` nor `:error:`.
    private static func errorTarget(_ text: String) throws(MalformedValue) -> AliasError? {
        let lower = text.prefix(7).lowercased()
        let start = lower.hasPrefix("error:") ? 6 : lower == ":error:" ? 7 : 0
        guard start > 0 else { return nil }
        let rest = text.dropFirst(start)
        let digits = rest.prefix(3)
        let message = rest.dropFirst(4)
        guard let code = Values.number(digits), digits.utf8.count == 3,
            (400...599).contains(code), rest.dropFirst(3).first == " ",
            message.first.map({ $0.isASCII && ($0.isLetter || $0.isNumber) }) ?? false
        else {
            throw MalformedValue(
                "\"\(text.prefix(80))\" is no error: write error:550 and a text, the code being 4xx or 5xx, one blank, and "
                    + "a letter or digit first")
        }
        guard message.utf8.allSatisfy({ (32...126).contains($0) }), message.utf8.count <= errorTextLimit else {
            throw MalformedValue("the text of an error: must be printable ASCII of at most \(errorTextLimit) octets")
        }
        return withStatus(code, String(message))
    }

    /// The enhanced status code that the text begins with, if it fits the code (RFC 2034 §4), else the usual one.
    private static func withStatus(_ code: Int, _ message: String) -> AliasError {
        let parts = message.split(separator: " ", maxSplits: 1)
        if parts.count == 2, let status = EnhancedStatusCode(parts[0]), status.statusClass == code / 100 {
            return AliasError(code: code, status: status, text: String(parts[1]))
        }
        return AliasError(code: code, status: usualStatus(code), text: message)
    }

    /// RFC 3463 §3.2 to §3.4 by the meaning of RFC 5321 §4.2.3; x.0.0 where there is none.
    private static func usualStatus(_ code: Int) -> EnhancedStatusCode {
        switch code {
        case 450: EnhancedStatusCode(4, 2, 1)
        case 451: EnhancedStatusCode(4, 3, 0)
        case 452: EnhancedStatusCode(4, 2, 2)
        case 550: EnhancedStatusCode(5, 1, 1)
        case 551: EnhancedStatusCode(5, 1, 6)
        case 552: EnhancedStatusCode(5, 2, 2)
        case 553: EnhancedStatusCode(5, 1, 3)
        default: EnhancedStatusCode(code / 100, 0, 0)
        }
    }
}
