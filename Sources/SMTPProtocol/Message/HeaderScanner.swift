// Owns: finding the fields of a header and its end, in bytes cut anywhere. Refuses: what the fields mean (AddressList,
// SubmissionHeader), line ends other than CRLF (LineEndNormaliser comes before).

/// Reads the header at the beginning of a message (RFC 5322 §2.2) and keeps it, up to a limit.
///
/// It never refuses a message. A line that is neither a field nor the continuation of one ends the header, and the body
/// begins with that line; when it is the first, there is no header. A `From ` line of an mbox at the very beginning is
/// dropped. Beyond `limit` everything counts as body, from the line on that passes it.
public struct HeaderScanner: Sendable {
    public struct Field: Hashable, Sendable {
        /// As written, without colon; printable ASCII.
        public var name: String
        /// The octets of `bytes` from the name to the last CRLF, included.
        public var range: Range<Int>
        /// The octets after the colon, the folds included, the last CRLF not.
        public var value: Range<Int>
        /// Whether it takes more than one line.
        public var isFolded: Bool

        /// Names count without case (RFC 5322 §1.2.2).
        public func isNamed(_ other: String) -> Bool {
            name.utf8.count == other.utf8.count && name.lowercased() == other.lowercased()
        }
    }

    public enum End: Hashable, Sendable {
        /// The empty line, which belongs to neither part.
        case emptyLine
        /// A line that is no field.
        case otherLine
        case limit
        case endOfInput
    }

    /// Enough for whoever only looks at a header. Who takes recipients from it (`-t`) needs a larger one, and must refuse
    /// a message whose header ended at `.limit`: some of its recipients would be lost.
    public static let defaultLimit = 64 << 10

    /// The fields as they came, each ended by CRLF; without the empty line.
    public private(set) var bytes: [UInt8] = []
    public private(set) var fields: [Field] = []
    /// nil while more input is needed.
    public private(set) var end: End?
    /// What was given and does not belong to the header: the beginning of the body. Take it once `end` is there; bytes
    /// after that are body and need not be given.
    public private(set) var rest: [UInt8] = []

    private let limit: Int
    private var lineStart = 0
    private var scanned = 0
    private var isFirstLine = true

    /// - Parameter limit: octets of header kept; at least one line of RFC 5322 §2.1.1 fits in all that make sense.
    public init(limit: Int = defaultLimit) { self.limit = max(0, limit) }

    /// Scans a whole message, or a whole header, at once.
    public init(scanning message: some Collection<UInt8>, limit: Int = defaultLimit) {
        self.init(limit: limit)
        append(message)
        finish()
    }

    public mutating func append(_ chunk: some Collection<UInt8>) {
        guard end == nil else { return rest += chunk }
        bytes += chunk
        while end == nil, let lineEnd = bytes[scanned...].firstIndex(of: 10) {
            scanned = lineEnd + 1
            takeLine(upTo: scanned)
        }
        guard end == nil else { return }
        scanned = bytes.count
        if bytes.count > limit { endHeader(.limit, bodyStart: lineStart) }
    }

    /// The input is over: a last line without an end gets one when it is a field, and is body otherwise.
    public mutating func finish() {
        guard end == nil else { return }
        guard lineStart < bytes.count else { return endHeader(.endOfInput, bodyStart: lineStart) }
        bytes += [13, 10]
        takeLine(upTo: bytes.count)
        // It was no field: the line is body, and the end that was added is not.
        guard end == nil else { return rest.removeLast(2) }
        endHeader(.endOfInput, bodyStart: lineStart)
    }

    /// The value of the first field of this name, unfolded (RFC 5322 §2.2.3), without white space at its ends.
    public func value(of name: String) -> [UInt8]? {
        fields.first { $0.isNamed(name) }.map { unfolded($0) }
    }

    public func unfolded(_ field: Field) -> [UInt8] {
        let value = bytes[field.value].filter { $0 != 13 && $0 != 10 }
        let isSpace: (UInt8) -> Bool = { $0 == 32 || $0 == 9 }
        guard let first = value.firstIndex(where: { !isSpace($0) }), let last = value.lastIndex(where: { !isSpace($0) })
        else { return [] }
        return Array(value[first...last])
    }

    // MARK: Details

    private mutating func takeLine(upTo lineEnd: Int) {
        let line = lineStart..<lineEnd
        defer { isFirstLine = false }
        guard lineEnd <= limit else { return endHeader(.limit, bodyStart: lineStart) }
        let first = bytes[lineStart]
        if first == 10 || first == 13 && lineEnd - lineStart == 2 { return endHeader(.emptyLine, bodyStart: lineEnd) }
        let textEnd = lineEnd - (lineEnd - lineStart > 1 && bytes[lineEnd - 2] == 13 ? 2 : 1)
        if first == 32 || first == 9, !fields.isEmpty {
            let last = fields.count - 1
            fields[last].range = fields[last].range.lowerBound..<lineEnd
            fields[last].value = fields[last].value.lowerBound..<max(fields[last].value.lowerBound, textEnd)
            fields[last].isFolded = true
        } else if let (name, colon) = nameAndColon(in: line) {
            fields.append(Field(name: name, range: line, value: colon + 1..<max(colon + 1, textEnd), isFolded: false))
        } else if isFirstLine, bytes[line].starts(with: "From ".utf8) || bytes[line].starts(with: ">From ".utf8) {
            bytes.removeFirst(lineEnd)
            (lineStart, scanned) = (0, 0)
            return
        } else {
            return endHeader(.otherLine, bodyStart: lineStart)
        }
        lineStart = lineEnd
    }

    /// RFC 5322 §3.6.8: a name is printable ASCII without colon; §4.5 allows white space between name and colon.
    private func nameAndColon(in line: Range<Int>) -> (String, Int)? {
        var index = line.lowerBound
        while index < line.upperBound, (33...126).contains(bytes[index]), bytes[index] != UInt8(ascii: ":") {
            index += 1
        }
        let nameEnd = index
        while index < line.upperBound, bytes[index] == 32 || bytes[index] == 9 { index += 1 }
        guard nameEnd > line.lowerBound, index < line.upperBound, bytes[index] == UInt8(ascii: ":") else { return nil }
        return (String(decoding: bytes[line.lowerBound..<nameEnd], as: UTF8.self), index)
    }

    private mutating func endHeader(_ end: End, bodyStart: Int) {
        self.end = end
        rest = Array(bytes[bodyStart...])
        bytes.removeSubrange(lineStart...)
    }
}
