// Owns: how hostile text is shown on one line: no control character reaches a terminal or splits a log line.
// Refuses: JSON, which has its own rules (JSONValue).

/// Controls become `\xNN`, one for each byte of their UTF-8 form, so that the shown text can be read back.
public enum EscapedText {
    /// For sentences and messages: only what could act on a terminal or a log is replaced.
    public static func plain(_ text: String) -> String {
        text.unicodeScalars.contains(where: isControl) ? escape(text, also: "") : text
    }

    /// Inside double quotes: `"` and `\` get a backslash, so that the end of the value is certain.
    public static func quoted(_ text: String) -> String { "\"" + escape(text, also: "\"\\") + "\"" }

    /// A value of `key=value`: bare when no reader could mistake it, else quoted.
    public static func value(_ text: String) -> String {
        let isBare = text.utf8.allSatisfy {
            (33...126).contains($0) && $0 != UInt8(ascii: "\"") && $0 != 92 && $0 != 61
        }
        return isBare && !text.isEmpty ? text : quoted(text)
    }

    /// Bytes of unknown origin as text: what is no UTF-8 shows as `\xNN` too.
    public static func plain(bytes: some Sequence<UInt8>) -> String {
        var text = ""
        var reader = ScalarReader(bytes)
        while let piece = reader.next() {
            switch piece {
            case .scalar(let scalar) where isControl(scalar): text += hex(scalar)
            case .scalar(let scalar): text.unicodeScalars.append(scalar)
            case .stray(let byte): text += hex(byte)
            }
        }
        return text
    }

    private static func escape(_ text: String, also special: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if isControl(scalar) {
                result += hex(scalar)
            } else {
                if special.unicodeScalars.contains(scalar) { result += "\\" }
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// C0, DEL, C1, the line and paragraph separators, and the marks that turn the direction of writing.
    private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<32, 127..<160, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    private static func hex(_ scalar: Unicode.Scalar) -> String { UTF8.encode(scalar)?.map(hex).joined() ?? "" }

    private static func hex(_ byte: UInt8) -> String {
        "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
}

/// Walks over bytes scalar by scalar; a byte that begins no valid UTF-8 comes out alone.
struct ScalarReader {
    enum Piece { case scalar(Unicode.Scalar), stray(UInt8) }

    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }

    mutating func next() -> Piece? {
        guard index < bytes.count else { return nil }
        for length in 1...4 where index + length <= bytes.count {
            let text = String(validating: bytes[index..<index + length], as: UTF8.self)
            if let scalar = text?.unicodeScalars.first {
                index += length
                return .scalar(scalar)
            }
        }
        defer { index += 1 }
        return .stray(bytes[index])
    }
}
