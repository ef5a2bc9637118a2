// Owns: making hostile octets fit to be read by a person: printable ASCII on one line. Refuses: deciding what the
// octets mean.

/// Text of peers for logs, attempts and DSNs. Everything but printable ASCII becomes `\xNN`, UTF-8 included: what
/// turns a line around on a terminal (bidirectional marks, C1 controls) is valid UTF-8 as well. A tab becomes a space.
/// A backslash stays as it is, because `DOMAIN\user` is commoner than an attempt to imitate an escape.
public enum PeerText {
    /// How much of a reply is kept (`Attempt.reply`), in octets after escaping.
    public static let limit = 1000

    /// - Parameter limit: octets of the result; an escape is never cut in two. What was cut leaves no mark.
    public static func printable(_ octets: some Sequence<UInt8>, limit: Int = PeerText.limit) -> String {
        var out: [UInt8] = []
        for octet in octets {
            guard out.count < limit else { break }
            switch octet {
            case 32...126: out.append(octet)
            case 9: out.append(32)
            default:
                guard out.count + 4 <= limit else { return String(decoding: out, as: UTF8.self) }
                out += [UInt8(ascii: "\\"), UInt8(ascii: "x"), hexDigit(octet >> 4), hexDigit(octet & 15)]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    public static func printable(_ text: some StringProtocol, limit: Int = PeerText.limit) -> String {
        printable(text.utf8, limit: limit)
    }

    /// Upper case, as xtext (RFC 3461 §4) wants it too.
    static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }
}
