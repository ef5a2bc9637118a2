// Owns: `local-part@domain` as RFC 5321 §4.1.2 has it, read from hostile text and written so that every server reads
// it the same. Refuses: source routes beyond skipping them, display names, comments: those belong to headers.

/// A mailbox: local-part @ domain. The local-part is kept unquoted, as its owner means it (`a b`, not `"a b"`);
/// `description` quotes it again where the grammar asks for it. The domain is kept as written, compared without case.
public struct Mailbox: Sendable {
    public let localPart: String
    /// A domain name, or an address literal with its brackets: `[192.0.2.1]`, `[IPv6:2001:db8::1]`.
    public let domain: String

    /// RFC 5321 §4.5.3.1.1 and §4.5.3.1.2.
    public static let localPartLimit = 64
    public static let domainLimit = 255

    /// Takes the parts as they are meant; nil when one is empty, over its limit, or holds what no path can carry.
    public init?(localPart: String, domain: String) {
        guard (1...Self.localPartLimit).contains(localPart.utf8.count), Self.isDomain(domain) else { return nil }
        guard localPart.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }) else { return nil }
        (self.localPart, self.domain) = (localPart, domain)
    }

    /// Reads `local@domain` without angle brackets. 8-bit text (RFC 6531) is taken; see `isASCII`.
    public init?(_ text: some StringProtocol) {
        guard let (local, rest) = Self.readLocalPart(Substring(text)), rest.first == "@" else { return nil }
        self.init(localPart: local, domain: String(rest.dropFirst()))
    }

    /// Whether the mailbox can be sent to a server without SMTPUTF8 (RFC 6531).
    public var isASCII: Bool { localPart.utf8.allSatisfy { $0 < 128 } && domain.utf8.allSatisfy { $0 < 128 } }
    public var isAddressLiteral: Bool { domain.first == "[" }

    /// Splits a local-part, a dot-string or a quoted string (RFC 5321 §4.1.2), from what follows it.
    package static func readLocalPart(_ text: Substring) -> (String, Substring)? {
        guard text.utf8.first == UInt8(ascii: "\"") else {
            let local = dotStringEnd(text)
            guard local > text.startIndex, !hasMisplacedDot(text[..<local]) else { return nil }
            return (String(text[..<local]), text[local...])
        }
        var local = ""
        var scalars = text.unicodeScalars.dropFirst()
        while let scalar = scalars.popFirst() {
            if scalar == "\"" { return (local, Substring(scalars)) }
            guard scalar != "\\" else {
                guard let quoted = scalars.popFirst(), (32...126).contains(quoted.value) else { return nil }
                local.unicodeScalars.append(quoted)
                continue
            }
            guard scalar.value >= 32, scalar.value != 127 else { return nil }
            local.unicodeScalars.append(scalar)
        }
        return nil
    }

    /// RFC 5322 §3.2.3 atext; RFC 6531 §3.3 adds all that is not ASCII.
    static func isAtomText(_ character: Character) -> Bool {
        character.unicodeScalars.allSatisfy { scalar in
            guard scalar.isASCII else { return scalar.value > 159 }
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9": return true
            default: return "!#$%&'*+-/=?^_`{|}~".unicodeScalars.contains(scalar)
            }
        }
    }

    static func needsQuotes(_ local: String) -> Bool {
        hasMisplacedDot(local[...]) || dotStringEnd(local[...]) < local.endIndex
    }

    /// Where the atoms and dots that begin a text end. Octets are enough as long as all is ASCII, and every message has
    /// several addresses; what is not ASCII is told by characters, since a mark may combine with what stands before it.
    private static func dotStringEnd(_ text: Substring) -> Substring.Index {
        let end = text.utf8.firstIndex { !isAtomOctet($0) && $0 != UInt8(ascii: ".") } ?? text.endIndex
        guard end < text.endIndex, text.utf8[end] > 127 else { return end }
        return text.firstIndex { $0 != "." && !isAtomText($0) } ?? text.endIndex
    }

    /// RFC 5321 §4.1.2 Dot-string: a dot stands between atoms only.
    private static func hasMisplacedDot(_ text: Substring) -> Bool {
        var last = UInt8(ascii: ".")
        for octet in text.utf8 {
            if octet == UInt8(ascii: "."), last == octet { return true }
            last = octet
        }
        return last == UInt8(ascii: ".") && !text.isEmpty
    }

    /// The ASCII part of `isAtomText`.
    package static func isAtomOctet(_ octet: UInt8) -> Bool {
        switch octet {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "!"), UInt8(ascii: "#")...UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
            UInt8(ascii: "-"), UInt8(ascii: "/"), UInt8(ascii: "="), UInt8(ascii: "?"),
            UInt8(ascii: "^")...UInt8(ascii: "`"), UInt8(ascii: "{")...UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// A domain name (labels of 1 to 63 octets; underscores are tolerated, as they exist) or an address literal.
    public static func isDomain(_ text: String) -> Bool {
        guard (1...domainLimit).contains(text.utf8.count) else { return false }
        if let isPlain = isPlainDomain(text) { return isPlain }
        if text.first == "[" {
            let inner = text.dropFirst().dropLast()
            return text.last == "]" && !inner.isEmpty
                && inner.utf8.allSatisfy { (33...126).contains($0) && !"[]\\".utf8.contains($0) }
        }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.unicodeScalars.allSatisfy { scalar in
                    switch scalar {
                    case "a"..."z", "A"..."Z", "0"..."9", "-", "_": true
                    default: scalar.value > 159
                    }
                }
        }
    }
}

extension Mailbox {
    /// The answer of `isDomain` for names of letters, digits, hyphens, underscores and dots; nil for any other text.
    private static func isPlainDomain(_ text: String) -> Bool? {
        var (length, last, isWellFormed) = (0, UInt8(ascii: "."), true)
        for octet in text.utf8 {
            switch octet {
            case UInt8(ascii: "."):
                isWellFormed = isWellFormed && (1...63).contains(length) && last != UInt8(ascii: "-")
                length = 0
            case UInt8(ascii: "-"):
                isWellFormed = isWellFormed && length > 0
                length += 1
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                length += 1
            default: return nil
            }
            last = octet
        }
        return isWellFormed && (1...63).contains(length) && last != UInt8(ascii: "-")
    }
}

extension Mailbox: CustomStringConvertible {
    public var description: String { "\(quotedLocalPart)@\(domain)" }

    /// The local-part as a path carries it: quoted where it is no dot-string.
    public var quotedLocalPart: String {
        guard Self.needsQuotes(localPart) else { return localPart }
        // By scalars: a quote that carries a combining mark is a quote all the same.
        return "\"" + localPart.unicodeScalars.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined() + "\""
    }
}

extension Mailbox: Hashable {
    /// Local-parts are compared exactly (RFC 5321 §2.4), domains without case.
    public static func == (a: Mailbox, b: Mailbox) -> Bool {
        a.localPart == b.localPart && a.domain.lowercased() == b.domain.lowercased()
    }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(localPart)
        hasher.combine(domain.lowercased())
    }
}

/// Where DSNs go: a mailbox, or nobody (the null reverse-path `<>`, RFC 5321 §4.5.5).
public enum ReversePath: Hashable, Sendable, CustomStringConvertible {
    case null
    case mailbox(Mailbox)

    public var mailbox: Mailbox? {
        switch self {
        case .null: nil
        case .mailbox(let mailbox): mailbox
        }
    }

    /// Without angle brackets; empty for the null reverse-path.
    public var description: String { mailbox?.description ?? "" }
}
