// Owns: writing message content onto the wire (RFC 5321 §4.5.2): doubled dots and the end of data. Refuses: mending
// content; a bare CR or LF is passed on and reported, for its sender to decide.

/// Dot-stuffs content that comes cut anywhere; the partner of DotUnstuffer.
///
///     var stuffer = DotStuffer()
///     send(stuffer.encode(chunk)); send(stuffer.encode(next)); send(stuffer.finish())
package struct DotStuffer: Sendable {
    /// Whether a CR without LF or an LF without CR was seen so far. RFC 5321 §2.3.8 forbids to send them: a server that
    /// takes them for line ends could be made to see an end of data that we did not write.
    package var hasBareLineEnd: Bool { lines.hasBareCR || lines.hasBareLF || hasBareCRAtEnd }
    /// Whether all content so far ends with CR LF, or is empty.
    package private(set) var endsWithLineEnd = true

    private var lines = LineScanner()
    private var hasBareCRAtEnd = false

    package init() {}

    /// The next part of the content as it goes over the wire.
    package mutating func encode(_ content: ArraySlice<UInt8>) -> [UInt8] {
        content.withUnsafeBufferPointer { buffer in
            var stuffed: [UInt8] = []
            // Room for a few doubled dots; more make the array grow once.
            stuffed.reserveCapacity(buffer.count + 16)
            scan(buffer, into: &stuffed)
            return stuffed
        }
    }

    package mutating func encode(_ content: [UInt8]) -> [UInt8] { encode(content[...]) }

    /// What ends the data behind all content: `.` CR LF, with a CR LF before it when the last line has none.
    package mutating func finish() -> [UInt8] {
        hasBareCRAtEnd = lines.isAfterCR
        return Array((endsWithLineEnd ? ".\r\n" : "\r\n.\r\n").utf8)
    }

    /// Copies in runs, each beginning with the second of two dots.
    private mutating func scan(_ buffer: UnsafeBufferPointer<UInt8>, into stuffed: inout [UInt8]) {
        var (index, run) = (0, 0)
        while index < buffer.count {
            if endsWithLineEnd && buffer[index] == dot {
                stuffed.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[run...index]))
                run = index
            }
            (index, endsWithLineEnd) = lines.scan(buffer, from: index)
            if endsWithLineEnd { lines.startLine() }
        }
        stuffed.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[run..<index]))
    }
}
