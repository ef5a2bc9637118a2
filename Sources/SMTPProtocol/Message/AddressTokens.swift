// Owns: cutting the value of an address field into tokens (RFC 5322 §3.2). Refuses: what the tokens make together
// (AddressList).

/// One token; comments and white space between tokens are dropped.
struct AddressToken {
    enum Kind: Hashable {
        /// A run of atext.
        case atom
        /// A quoted string; `text` is what it means.
        case quoted
        /// A domain literal with its brackets.
        case literal
        /// One of `<>,;:@.`
        case special(UInt8)
        /// An octet that fits nowhere, or something that never ends.
        case broken
    }
    var kind: Kind
    var text: [UInt8]
    var range: Range<Int>
}

/// Reads once from left to right: nested comments are counted, not recursed into, and nothing is read twice.
struct AddressTokens {
    private let bytes: [UInt8]
    private(set) var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func next() -> AddressToken? {
        while position < bytes.count {
            let start = position
            let octet = bytes[position]
            switch octet {
            case 32, 9, 13, 10: position += 1
            case UInt8(ascii: "("):
                if !skipComment() { return token(.broken, from: start) }
            case UInt8(ascii: "\""): return enclosed(.quoted, until: octet, from: start)
            case UInt8(ascii: "["): return enclosed(.literal, until: UInt8(ascii: "]"), from: start)
            case _ where "<>,;:@.".utf8.contains(octet):
                position += 1
                return token(.special(octet), from: start)
            case _ where HeaderText.isAtom(octet):
                while position < bytes.count, HeaderText.isAtom(bytes[position]) { position += 1 }
                return token(.atom, from: start)
            default:
                position += 1
                return token(.broken, from: start)
            }
        }
        return nil
    }

    private func token(_ kind: AddressToken.Kind, from start: Int) -> AddressToken {
        AddressToken(kind: kind, text: Array(bytes[start..<position]), range: start..<position)
    }

    /// §3.2.2: comments nest and know quoted pairs. False when it never ends; then all that is left was read.
    private mutating func skipComment() -> Bool {
        var depth = 0
        while position < bytes.count {
            let octet = bytes[position]
            position += 1
            switch octet {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")"):
                depth -= 1
                if depth == 0 { return true }
            case UInt8(ascii: "\\"): position += position < bytes.count ? 1 : 0
            default: break
            }
        }
        return false
    }

    /// A quoted string, its quoted pairs resolved and the line ends of its folds dropped (§3.2.4), or a domain literal.
    private mutating func enclosed(_ kind: AddressToken.Kind, until last: UInt8, from start: Int) -> AddressToken {
        var text: [UInt8] = kind == .literal ? [bytes[start]] : []
        position += 1
        while position < bytes.count {
            let octet = bytes[position]
            position += 1
            switch octet {
            case last:
                if kind == .literal { text.append(octet) }
                return AddressToken(kind: kind, text: text, range: start..<position)
            case UInt8(ascii: "\\") where position < bytes.count:
                text.append(bytes[position])
                position += 1
            case 13, 10: break
            default: text.append(octet)
            }
        }
        return token(.broken, from: start)
    }
}
