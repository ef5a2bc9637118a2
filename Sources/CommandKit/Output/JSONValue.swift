// Owns: a JSON value and how it is written, on one line, members in the order given. Refuses: reading (JSONReader).

/// A value of RFC 8259. Results of `--json` and the control socket are one object a line.
///
/// ```swift
/// let line = JSONValue.object([.init("id", "0f3..."), .init("recipients", 2)]).rendered
/// ```
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    /// Not a number and the infinities, which JSON lacks, are written as null.
    case double(Double)
    case string(String)
    case array([JSONValue])
    /// Members keep their order; no key stands twice.
    case object([Member])

    public struct Member: Hashable, Sendable {
        public var key: String
        public var value: JSONValue
        public init(_ key: String, _ value: JSONValue) { (self.key, self.value) = (key, value) }
    }

    /// Bytes of unknown origin as a string; what is no UTF-8 becomes U+FFFD.
    public static func text(_ bytes: some Collection<UInt8>) -> JSONValue {
        .string(String(decoding: bytes, as: UTF8.self))
    }

    /// The member of that name; nil when there is none or this is no object.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    public var string: String? { if case .string(let text) = self { text } else { nil } }
    public var int: Int64? { if case .int(let number) = self { number } else { nil } }
    public var bool: Bool? { if case .bool(let truth) = self { truth } else { nil } }
    public var array: [JSONValue]? { if case .array(let values) = self { values } else { nil } }

    /// The value on one line, without a line end.
    public var rendered: String {
        var line = ""
        render(into: &line)
        return line
    }

    private func render(into line: inout String) {
        switch self {
        case .null: line += "null"
        case .bool(let truth): line += truth ? "true" : "false"
        case .int(let number): line += String(number)
        case .double(let number): line += number.isFinite ? number.description : "null"
        case .string(let text): Self.quote(text, into: &line)
        case .array(let values): Self.list("[", values, "]", into: &line) { $0.render(into: &$1) }
        case .object(let members):
            Self.list("{", members, "}", into: &line) { member, line in
                Self.quote(member.key, into: &line)
                line += ":"
                member.value.render(into: &line)
            }
        }
    }

    private static func list<Item>(
        _ open: String, _ items: [Item], _ close: String, into line: inout String,
        each: (Item, inout String) -> Void
    ) {
        line += open
        for (index, item) in items.enumerated() {
            if index > 0 { line += "," }
            each(item, &line)
        }
        line += close
    }

    /// RFC 8259 §7 asks to escape C0, `"` and `\`. DEL, C1 and the line separators are escaped too: a list of
    /// queue entries must not act on the terminal that shows it.
    private static func quote(_ text: String, into line: inout String) {
        line += "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": line += "\\\""
            case "\\": line += "\\\\"
            case "\n": line += "\\n"
            case "\r": line += "\\r"
            case "\t": line += "\\t"
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                line += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: line.unicodeScalars.append(scalar)
            }
        }
        line += "\""
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
    public init(stringLiteral text: String) { self = .string(text) }
    public init(integerLiteral number: Int64) { self = .int(number) }
    public init(booleanLiteral truth: Bool) { self = .bool(truth) }
}

extension JSONValue: ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
    public init(arrayLiteral values: JSONValue...) { self = .array(values) }
    /// Keys keep the order of the literal.
    public init(dictionaryLiteral members: (String, JSONValue)...) {
        self = .object(members.map { Member($0.0, $0.1) })
    }
}
