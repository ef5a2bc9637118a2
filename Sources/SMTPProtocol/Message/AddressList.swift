// Owns: the mailboxes of an address field (RFC 5322 §3.4, with the obsolete forms of §4.4). Refuses: display names,
// comments and encoded words; they are skipped and never touched.

import MailModel

/// The addresses in the value of a From, To, Cc... field, in order.
///
///     AddressList(Array("Staff: root, \"A. B\" <a@x.example>;".utf8)).elements
///     // [.bare(BareName(local: "root", end: 11)), .mailbox(a@x.example)]
///
/// The value may be folded. Groups give their members; an empty group or `<>` gives nothing; an obsolete route is
/// skipped. Nothing recurses and every octet is read once.
public struct AddressList: Hashable, Sendable {
    /// A local-part without a domain.
    public struct BareName: Hashable, Sendable {
        /// Unquoted, as its owner means it.
        public var local: String
        /// Where `@domain` has to be put: an offset into the value.
        public var end: Int
    }

    public enum Element: Hashable, Sendable {
        case mailbox(Mailbox)
        case bare(BareName)
        /// What can't be understood: the octets of the value from its first to its last token.
        case malformed(Range<Int>)
    }

    /// More than anyone writes; it bounds what a hostile header of 64 KiB makes of us.
    public static let elementLimit = 10_000

    public private(set) var elements: [Element] = []
    /// Whether `elementLimit` cut the list.
    public private(set) var isCut = false

    public init(_ value: [UInt8]) {
        var tokens = AddressTokens(value)
        var current: [AddressToken] = []
        var inAngle = false
        var inGroup = false
        while let token = tokens.next() {
            switch token.kind {
            case .special(UInt8(ascii: "<")): inAngle = true
            case .special(UInt8(ascii: ">")): inAngle = false
            // Inside angle brackets a comma or colon belongs to an obsolete route (§4.4).
            case .special(UInt8(ascii: ",")) where !inAngle, .special(UInt8(ascii: ";")) where !inAngle:
                add(current)
                current = []
                if token.kind == .special(UInt8(ascii: ";")) { inGroup = false }
                continue
            case .special(UInt8(ascii: ":")) where !inAngle && !inGroup && Self.isPhrase(current):
                inGroup = true
                current = []
                continue
            case .atom, .quoted, .literal, .special, .broken: break
            }
            current.append(token)
        }
        add(current)
    }

    // MARK: One address

    private mutating func add(_ tokens: [AddressToken]) {
        guard let first = tokens.first, let last = tokens.last else { return }
        guard elements.count < Self.elementLimit else { return isCut = true }
        let opening = tokens.firstIndex { $0.kind == .special(UInt8(ascii: "<")) }
        guard let opening else {
            return elements.append(
                Self.address(tokens[...]) ?? .malformed(first.range.lowerBound..<last.range.upperBound))
        }
        let inside = tokens[(opening + 1)...].dropLast()
        guard Self.isPhrase(tokens[..<opening]), last.kind == .special(UInt8(ascii: ">")) else {
            return elements.append(.malformed(first.range.lowerBound..<last.range.upperBound))
        }
        if inside.isEmpty { return }
        elements.append(
            Self.address(Self.withoutRoute(inside)) ?? .malformed(first.range.lowerBound..<last.range.upperBound))
    }

    /// §3.2.5, and the dots of §4.1; perhaps empty.
    private static func isPhrase(_ tokens: some Sequence<AddressToken>) -> Bool {
        tokens.allSatisfy { $0.kind == .atom || $0.kind == .quoted || $0.kind == .special(UInt8(ascii: ".")) }
    }

    /// §4.4 obs-route: `@a,@b:` before the address.
    private static func withoutRoute(_ tokens: ArraySlice<AddressToken>) -> ArraySlice<AddressToken> {
        guard tokens.first?.kind == .special(UInt8(ascii: "@")),
            let colon = tokens.firstIndex(where: { $0.kind == .special(UInt8(ascii: ":")) })
        else { return tokens }
        return tokens[(colon + 1)...]
    }

    /// `local@domain` or a bare `local`; nil for anything else.
    private static func address(_ tokens: ArraySlice<AddressToken>) -> Element? {
        let at = tokens.firstIndex { $0.kind == .special(UInt8(ascii: "@")) }
        let localTokens = tokens[..<(at ?? tokens.endIndex)]
        guard let last = localTokens.last, let local = text(localTokens, isWord: { $0 == .atom || $0 == .quoted })
        else { return nil }
        guard let at else {
            // An encoded word alone is a torn display name (`=?utf-8?Q?Doe,_J?= <j@x>`); it must stay as it is.
            guard last.kind != .special(UInt8(ascii: ".")), !local.hasPrefix("=?") else { return nil }
            return .bare(BareName(local: local, end: last.range.upperBound))
        }
        let domainTokens = tokens[(at + 1)...]
        let isLiteral = domainTokens.count == 1 && domainTokens.first?.kind == .literal
        guard let domain = text(domainTokens, isWord: { $0 == .atom || isLiteral && $0 == .literal }) else {
            return nil
        }
        return Mailbox(localPart: local, domain: domain).map { .mailbox($0) }
    }

    /// Words with dots between them, put together; nil where two words meet without a dot, or what is no word stands.
    /// Dots at the ends and in a row are let through: such addresses exist, and a path quotes them.
    private static func text(_ tokens: ArraySlice<AddressToken>, isWord: (AddressToken.Kind) -> Bool) -> String? {
        var out: [UInt8] = []
        var lastWasWord = false
        for token in tokens {
            let word = isWord(token.kind)
            guard word ? !lastWasWord : token.kind == .special(UInt8(ascii: ".")) else { return nil }
            out += token.text
            lastWasWord = word
        }
        return out.isEmpty ? nil : String(validating: out, as: UTF8.self)
    }
}
