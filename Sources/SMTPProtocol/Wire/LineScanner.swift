// Owns: the search for octets in memory and for the ends of content lines, which all of Wire stands on. Refuses: dots
// and copying; the two dot coders have those.

import Glibc

let carriageReturn = UInt8(ascii: "\r")
let lineFeed = UInt8(ascii: "\n")
let dot = UInt8(ascii: ".")

extension UnsafeBufferPointer<UInt8> {
    /// The first position of `octet` in `range`, which must lie inside the buffer. memchr looks at many octets a cycle;
    /// a loop here would be the slowest part of receiving mail.
    @inline(__always)
    func position(of octet: UInt8, in range: Range<Int>) -> Int? {
        guard let start = baseAddress, !range.isEmpty else { return nil }
        guard let hit = memchr(start + range.lowerBound, Int32(octet), range.count) else { return nil }
        return UnsafeRawPointer(hit) - UnsafeRawPointer(start)
    }
}

/// Goes from line end to line end of content that comes cut anywhere. Only CR LF ends a line; a bare CR or LF is text,
/// and remembered.
struct LineScanner: Sendable {
    private(set) var hasBareCR = false
    private(set) var hasBareLF = false
    /// Octets of the present line so far; after a line end, those of the line that ended, without its CR LF.
    private(set) var column = 0
    /// Whether the last octet was a CR, whose LF may still come.
    private(set) var isAfterCR = false

    /// A new line begins.
    mutating func startLine() { (column, isAfterCR) = (0, false) }

    /// Takes in a CR that was seen elsewhere and turned out to be bare.
    mutating func addBareCR() {
        hasBareCR = true
        column += 1
    }

    /// Reads from `start` behind the next LF, or to the end of the buffer.
    /// - Returns: where reading stopped, and whether a line ended there.
    @inline(__always)
    mutating func scan(_ buffer: UnsafeBufferPointer<UInt8>, from start: Int) -> (stop: Int, isLineEnd: Bool) {
        let found = buffer.position(of: lineFeed, in: start..<buffer.count)
        let end = found ?? buffer.count
        if isAfterCR && found != start { hasBareCR = true }
        if !hasBareCR, let firstCR = buffer.position(of: carriageReturn, in: start..<end), firstCR < end - 1 {
            hasBareCR = true
        }
        if end > start { isAfterCR = buffer[end - 1] == carriageReturn }
        column += end - start
        guard found != nil else { return (end, false) }
        guard isAfterCR else {
            hasBareLF = true
            column += 1
            return (end + 1, false)
        }
        column -= 1
        return (end + 1, true)
    }
}
