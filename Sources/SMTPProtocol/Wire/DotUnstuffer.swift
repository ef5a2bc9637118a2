// Owns: reading message content off the wire (RFC 5321 §4.5.2): the end of data, the leading dots, what is wrong with
// line ends. Refuses: deciding what becomes of a message with wrong line ends; ContentReceiver has that.

/// Reads dot-stuffed content that comes cut anywhere.
///
/// Only CR LF . CR LF ends the content (or . CR LF at its very beginning). A bare CR or LF never begins a line, so none
/// of `LF . LF`, `LF . CR LF`, `CR . CR`, `CR LF . LF`, `CR LF . CR` ends anything, nor does a NUL near the dot.
///
///     start --> lineStart --.--> afterDot --CR--> afterDotCR --LF--> end
///                  ^   \           | else          | else: the CR belongs to the content
///             CR LF|    \ else     v               v
///                  +---- inLine <------------------+
package struct DotUnstuffer: Sendable {
    /// RFC 5321 §4.5.3.1.6: octets of a text line, without its CR LF.
    package static let lineLimit = 998

    /// Content read so far, octets without stuffing and without the final dot.
    package private(set) var octets = 0
    package var hasBareCR: Bool { lines.hasBareCR }
    package var hasBareLF: Bool { lines.hasBareLF }
    /// Lines over `lineLimit`. They pass unbroken; whether that is right is for the caller to say.
    package private(set) var longLines = 0
    package private(set) var isAtEnd = false

    private enum Position {
        case lineStart
        case afterDot
        case afterDotCR
        case inLine
    }
    private var position = Position.lineStart
    private var lines = LineScanner()

    package init() {}

    /// Reads `input` up to the end of the content or all of it.
    /// - Parameter keeping: whether the content is wanted; false only looks for the end.
    /// - Returns: content without stuffing, and how many octets of `input` were read. The rest is commands.
    package mutating func decode(_ input: ArraySlice<UInt8>, keeping: Bool = true) -> (content: [UInt8], read: Int) {
        var content = Output(keeping: keeping)
        let read = input.withUnsafeBufferPointer { scan($0, into: &content) }
        octets += content.count
        return (content.octets, read)
    }

    /// Content in the making: counted always, copied only when it is wanted. Nothing is reserved: content without
    /// leading dots is one run, which takes exactly its size.
    private struct Output {
        let keeping: Bool
        var octets: [UInt8] = []
        var count = 0

        init(keeping: Bool) { self.keeping = keeping }

        @inline(__always)
        mutating func append(_ buffer: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
            count += range.count
            if keeping && !range.isEmpty { octets.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[range])) }
        }

        mutating func appendCR() {
            count += 1
            if keeping { octets.append(carriageReturn) }
        }
    }

    /// Copies in runs: `run` is where the content not copied yet begins.
    private mutating func scan(_ buffer: UnsafeBufferPointer<UInt8>, into content: inout Output) -> Int {
        var (index, run) = (0, 0)
        while index < buffer.count && !isAtEnd {
            switch position {
            case .lineStart where buffer[index] == dot:
                content.append(buffer, run..<index)
                index += 1
                run = index
                position = .afterDot
            case .afterDot where buffer[index] == carriageReturn:
                run = index
                index += 1
                position = .afterDotCR
            case .lineStart, .afterDot:
                position = .inLine
            case .afterDotCR where buffer[index] == lineFeed:
                index += 1
                run = index
                isAtEnd = true
            case .afterDotCR:
                lines.addBareCR()
                if index == 0 { content.appendCR() }  // It ended the last chunk and was held back.
                position = .inLine
            case .inLine:
                index = scanLine(buffer, from: index)
            }
        }
        // A CR behind a dot at a line start is content only if no LF follows.
        if case .afterDotCR = position { return index }
        content.append(buffer, run..<index)
        return index
    }

    /// Reads to the end of the line or of the buffer; returns where.
    @inline(__always)
    private mutating func scanLine(_ buffer: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        let (stop, isLineEnd) = lines.scan(buffer, from: start)
        if isLineEnd {
            if lines.column > Self.lineLimit { longLines += 1 }
            lines.startLine()
            position = .lineStart
        }
        return stop
    }
}
