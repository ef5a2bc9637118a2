// Owns: writing values into header fields so that they stay inside: atoms, phrases, folds. Refuses: reading.

import MailModel

enum HeaderText {
    /// RFC 5322 §2.1.1: a line has at most 998 octets besides its CRLF, and should have 78.
    static let lineLimit = 998
    static let usualLine = 78

    /// RFC 5322 §3.2.3 atext and, by RFC 6532 §3.2, everything that is not ASCII.
    static func isAtom(_ octet: UInt8) -> Bool { octet >= 128 || Mailbox.isAtomOctet(octet) }

    /// A host's name fit for `by`, a message-ID or a MIME parameter: letters, digits, hyphens, dots and underscores;
    /// what is none of these becomes a hyphen. Never empty, at most 255 octets.
    static func domain(_ name: String) -> String {
        let octets = name.utf8.prefix(255).map { octet -> UInt8 in
            switch octet {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"):
                octet
            default: UInt8(ascii: "-")
            }
        }
        return octets.isEmpty ? "localhost" : String(decoding: octets, as: UTF8.self)
    }

    /// Letters and digits of a token, for message-IDs and MIME boundaries; at most 60, never empty.
    static func token(_ text: String) -> String {
        let kept = text.utf8.filter { octet in
            octet < 128 && isAtom(octet) && !"!#$%&'*+-/=?^_`{|}~".utf8.contains(octet)
        }
        return kept.isEmpty ? "0" : String(decoding: kept.prefix(60), as: UTF8.self)
    }

    /// A person's name as a phrase (RFC 5322 §3.2.5): as it is, quoted, or as encoded words (RFC 2047) when it is not
    /// ASCII. Control characters are dropped, at most 200 octets kept; nil when nothing remains.
    static func phrase(_ name: String) -> String? {
        var kept = String.UnicodeScalarView()
        var octets = 0
        for scalar in name.unicodeScalars where scalar.value >= 32 && !(127...159).contains(scalar.value) {
            octets += String(scalar).utf8.count
            if octets > 200 { break }
            kept.append(scalar)
        }
        let text = Array(String(kept).utf8)
        guard let first = text.firstIndex(where: { $0 != 32 }), let last = text.lastIndex(where: { $0 != 32 }) else {
            return nil
        }
        let name = text[first...last]
        if name.contains(where: { $0 > 127 }) { return encodedWords(String(decoding: name, as: UTF8.self)) }
        if name.allSatisfy({ isAtom($0) || $0 == 32 }), !name.starts(with: "=?".utf8) {
            return String(decoding: name, as: UTF8.self)
        }
        let quoted = name.flatMap { $0 == 34 || $0 == 92 ? [92, $0] : [$0] }
        return "\"" + String(decoding: quoted, as: UTF8.self) + "\""
    }

    /// RFC 2047 §4.2 "Q" in UTF-8. A word has at most 75 characters (§2) and holds whole characters (§5).
    private static func encodedWords(_ text: String) -> String {
        var words: [String] = []
        var word = ""
        for scalar in text.unicodeScalars {
            let encoded = String(scalar).utf8.map { octet -> String in
                if octet == 32 { return "_" }
                // §5 (3): in a phrase only letters, digits and !*+-/ stand for themselves.
                let isPlain = octet < 128 && isAtom(octet) && !"#$%&'=?^_`{|}~".utf8.contains(octet)
                let hex = [PeerText.hexDigit(octet >> 4), PeerText.hexDigit(octet & 15)]
                return isPlain ? String(scalar) : "=" + String(decoding: hex, as: UTF8.self)
            }.joined()
            if word.utf8.count + encoded.utf8.count > 60 {
                words.append(word)
                word = ""
            }
            word += encoded
        }
        return (words + [word]).map { "=?UTF-8?Q?\($0)?=" }.joined(separator: "\r\n ")
    }

    /// Printable ASCII text broken into lines of at most `width` octets, at spaces where there are any.
    static func wrapped(_ text: String, width: Int) -> [String] {
        var lines: [String] = []
        var rest = Array(text.utf8)[...]
        while rest.count > width {
            let window = rest.prefix(width + 1)
            if let space = window.lastIndex(of: 32), space > rest.startIndex {
                lines.append(String(decoding: rest[..<space], as: UTF8.self))
                rest = rest[(space + 1)...]
            } else {
                lines.append(String(decoding: rest.prefix(width), as: UTF8.self))
                rest = rest.dropFirst(width)
            }
        }
        return lines + [String(decoding: rest, as: UTF8.self)]
    }

    /// A field of printable ASCII text, folded (RFC 5322 §2.2.3), CRLF included. Text without spaces is broken too: a
    /// space more in what a peer said is better than a line too long.
    static func field(_ name: String, _ value: String) -> String {
        let lines = wrapped(value, width: usualLine - name.utf8.count - 2).filter { !$0.allSatisfy { $0 == " " } }
        return "\(name): \(lines.joined(separator: "\r\n "))\r\n"
    }
}
