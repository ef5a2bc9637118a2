// Owns: reading one JSON value from bytes of a stranger, strictly and within bounds. Refuses: comments, trailing
// commas, more than one value.

/// What was wrong, and where.
public struct JSONSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Bytes from the start of the text.
    public let offset: Int
    public let problem: String
    public var description: String { "not valid JSON at byte \(offset + 1): \(problem)" }
}

extension JSONValue {
    /// Octets of one line; more is refused before it is looked at.
    public static let sizeLimit = 1 << 20
    /// Objects and arrays within each other. The control socket needs three.
    public static let depthLimit = 8

    /// Reads one value; blanks around it are allowed, anything else is not. Invalid UTF-8 becomes U+FFFD.
    public init(parsing bytes: some Sequence<UInt8>) throws(JSONSyntaxError) {
        var reader = JSONReader(Array(bytes))
        self = try reader.whole()
    }

    public init(parsing text: String) throws(JSONSyntaxError) { try self.init(parsing: text.utf8) }
}

struct JSONReader {
    private let bytes: [UInt8]
    private var index = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func whole() throws(JSONSyntaxError) -> JSONValue {
        guard bytes.count <= JSONValue.sizeLimit else {
            throw error("it is longer than \(JSONValue.sizeLimit) bytes")
        }
        let value = try value(depth: 0)
        skipBlanks()
        guard index == bytes.count else { throw error("something follows the value") }
        return value
    }

    private mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        skipBlanks()
        guard index < bytes.count else { throw error("the text ends where a value belongs") }
        switch bytes[index] {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        var members: [JSONValue.Member] = []
        var keys: Set<String> = []
        try items(until: UInt8(ascii: "}"), depth: depth) { (reader) throws(JSONSyntaxError) in
            reader.skipBlanks()
            guard reader.peek == UInt8(ascii: "\"") else { throw reader.error("a key in quotes belongs here") }
            let key = try reader.string()
            guard keys.insert(key).inserted else { throw reader.error("a key stands twice") }
            reader.skipBlanks()
            guard reader.take(UInt8(ascii: ":")) else { throw reader.error("a colon belongs here") }
            members.append(JSONValue.Member(key, try reader.value(depth: depth)))
        }
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONSyntaxError) -> JSONValue {
        var values: [JSONValue] = []
        try items(until: UInt8(ascii: "]"), depth: depth) { (reader) throws(JSONSyntaxError) in
            values.append(try reader.value(depth: depth))
        }
        return .array(values)
    }

    /// What stands between an opening mark and its closing one, with commas between.
    private mutating func items(
        until close: UInt8, depth: Int, each: (inout JSONReader) throws(JSONSyntaxError) -> Void
    ) throws(JSONSyntaxError) {
        guard depth <= JSONValue.depthLimit else { throw error("it is nested deeper than \(JSONValue.depthLimit)") }
        index += 1
        skipBlanks()
        if take(close) { return }
        repeat {
            try each(&self)
            skipBlanks()
        } while take(UInt8(ascii: ","))
        guard take(close) else { throw error("a comma or the closing mark belongs here") }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONSyntaxError) -> JSONValue {
        let expected = Array(word.description.utf8)
        guard bytes[index...].starts(with: expected) else { throw error("this is no value") }
        index += expected.count
        return value
    }

    private mutating func number() throws(JSONSyntaxError) -> JSONValue {
        let start = index
        _ = take(UInt8(ascii: "-"))
        let whole = digits()
        guard whole > 0, whole == 1 || bytes[index - whole] != UInt8(ascii: "0") else {
            throw error("this is no value")
        }
        var isWhole = true
        if take(UInt8(ascii: ".")) {
            guard digits() > 0 else { throw error("a digit belongs here") }
            isWhole = false
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            _ = take(UInt8(ascii: "+")) || take(UInt8(ascii: "-"))
            guard digits() > 0 else { throw error("a digit belongs here") }
            isWhole = false
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if isWhole, let number = Int64(text) { return .int(number) }
        guard let number = Double(text), number.isFinite else { throw error("the number is too large") }
        return .double(number)
    }

    private mutating func string() throws(JSONSyntaxError) -> String {
        index += 1
        var content: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: content, as: UTF8.self)
            case UInt8(ascii: "\\"): content += try escape()
            case 0..<32: throw error("a control character stands unescaped in a string")
            default: content.append(byte)
            }
        }
        throw error("the text ends inside a string")
    }

    /// What follows a backslash, as UTF-8.
    private mutating func escape() throws(JSONSyntaxError) -> [UInt8] {
        guard index < bytes.count else { throw error("the text ends inside a string") }
        let mark = bytes[index]
        index += 1
        switch mark {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [mark]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "u"): return Array(String(try codePoint()).utf8)
        default: throw error("no such escape")
        }
    }

    /// `XXXX`, or two of them that form a surrogate pair; half a pair becomes U+FFFD.
    private mutating func codePoint() throws(JSONSyntaxError) -> Character {
        let first = try fourDigits()
        if (0xD800..<0xDC00).contains(first), bytes[index...].starts(with: "\\u".utf8) {
            let back = index
            index += 2
            let second = try fourDigits()
            if (0xDC00..<0xE000).contains(second) {
                let value = 0x10000 + (first - 0xD800) << 10 + (second - 0xDC00)
                return Unicode.Scalar(value).map(Character.init) ?? "\u{FFFD}"
            }
            index = back
        }
        return Unicode.Scalar(first).map(Character.init) ?? "\u{FFFD}"
    }

    private mutating func fourDigits() throws(JSONSyntaxError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard index < bytes.count, let digit = Character(Unicode.Scalar(bytes[index])).hexDigitValue else {
                throw error("four hexadecimal digits belong here")
            }
            value = value << 4 | UInt32(digit)
            index += 1
        }
        return value
    }

    private mutating func digits() -> Int {
        let start = index
        while index < bytes.count, (48...57).contains(bytes[index]) { index += 1 }
        return index - start
    }

    private var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        index += 1
        return true
    }

    private mutating func skipBlanks() {
        while let byte = peek, [32, 9, 10, 13].contains(byte) { index += 1 }
    }

    private func error(_ problem: String) -> JSONSyntaxError { JSONSyntaxError(offset: index, problem: problem) }
}
