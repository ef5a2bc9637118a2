// Owns: making piped text end its lines with CRLF. Refuses: dot-stuffing, judging what the lines say.

/// LF becomes CRLF, CRLF stays, a bare CR becomes CRLF too: what is stored has no other line end, so no reader further
/// on can see lines where another sees none. Chunks may be cut anywhere.
///
///     var normaliser = LineEndNormaliser(endsAtLoneDot: true)
///     normaliser.append(chunk, to: &content)      // for each chunk, until hasEnded
///     normaliser.finish(into: &content)
public struct LineEndNormaliser: Sendable {
    /// Whether a line that is only a dot, ended by LF or CRLF, ends the input, as sendmail without `-i` has it. A dot
    /// after or before a bare CR does not: losing the rest of a message is worse than keeping a dot.
    private let endsAtLoneDot: Bool
    /// The lone dot was read; all that follows it is dropped.
    public private(set) var hasEnded = false

    /// What the last octet left open.
    private enum State {
        /// At the start of a line that LF, CRLF or nothing came before.
        case lineStart
        /// A dot that began a line is held back.
        case dot
        /// The same, and a CR after it.
        case dotCR
        /// A CR is held back.
        case cr
        case text
    }
    private var state = State.lineStart
    /// Whether something was written since the last line end.
    private var lineIsOpen = false

    public init(endsAtLoneDot: Bool = false) { self.endsAtLoneDot = endsAtLoneDot }

    public mutating func append(_ bytes: [UInt8], to out: inout [UInt8]) {
        bytes.withUnsafeBufferPointer { append($0, to: &out) }
    }

    public mutating func append(_ bytes: UnsafeBufferPointer<UInt8>, to out: inout [UInt8]) {
        var index = 0
        while index < bytes.count, !hasEnded {
            // The usual octet goes with the run it stands in; only the few that matter are looked at one by one.
            if state == .text || state == .lineStart && !(endsAtLoneDot && bytes[index] == Self.dot) {
                let run = Self.endOfRun(bytes, from: index)
                if run > index {
                    out.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[index..<run]))
                    (state, lineIsOpen, index) = (.text, true, run)
                    continue
                }
            }
            take(bytes[index], &out)
            index += 1
        }
    }

    /// The end of the input: ends the last line, unless it has its end or there is none.
    public mutating func finish(into out: inout [UInt8]) {
        guard !hasEnded else { return }
        switch state {
        case .dot, .dotCR:
            out.append(Self.dot)
            lineIsOpen = true
        case .cr: lineIsOpen = true
        case .lineStart, .text: break
        }
        if lineIsOpen { out += Self.crlf }
        (state, lineIsOpen, hasEnded) = (.lineStart, false, true)
    }

    // MARK: Details

    private static let dot = UInt8(ascii: ".")
    private static let crlf: [UInt8] = [13, 10]

    private static func endOfRun(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var index = start
        while index < bytes.count, bytes[index] != 10, bytes[index] != 13 { index += 1 }
        return index
    }

    private mutating func take(_ byte: UInt8, _ out: inout [UInt8]) {
        switch (state, byte) {
        case (.dot, 10), (.dotCR, 10): hasEnded = true
        case (.dot, 13): state = .dotCR
        case (.lineStart, Self.dot) where endsAtLoneDot: state = .dot
        case (.cr, 10), (.text, 10), (.lineStart, 10): endLine(.lineStart, &out)
        case (.text, 13), (.lineStart, 13): state = .cr
        case (.cr, _):
            endLine(.text, &out)
            takeAgain(byte, &out)
        case (.dot, _):
            release(&out)
            takeAgain(byte, &out)
        case (.dotCR, _):
            release(&out)
            endLine(.text, &out)
            takeAgain(byte, &out)
        case (.text, _), (.lineStart, _):
            out.append(byte)
            (state, lineIsOpen) = (.text, true)
        }
    }

    /// One level deep: the state is `.text` now, which takes every octet at once.
    private mutating func takeAgain(_ byte: UInt8, _ out: inout [UInt8]) { take(byte, &out) }

    private mutating func release(_ out: inout [UInt8]) {
        out.append(Self.dot)
        (state, lineIsOpen) = (.text, true)
    }

    private mutating func endLine(_ next: State, _ out: inout [UInt8]) {
        out += Self.crlf
        (state, lineIsOpen) = (next, false)
    }
}
