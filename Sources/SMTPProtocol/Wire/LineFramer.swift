// Owns: received octets until somebody reads them, and their cutting into command lines. Refuses: knowing commands;
// message content, which is read from `unread` by others.

/// Cuts command lines out of octets that come cut anywhere.
///
/// A line ends with CR LF and with nothing else. A bare LF or a bare CR makes the whole line, up to the next CR LF,
/// unreadable: were a bare LF a line end, somebody could hide a command of his own in an argument that a careless
/// client hands on. Each line yields one answer, so client and server stay in step:
///
///     var framer = LineFramer()
///     framer.append(Array("NOOP\r\nQU".utf8))
///     framer.next()   // .line("NOOP")
///     framer.next()   // nil: more is needed
package struct LineFramer: Sendable {
    package enum Line: Hashable, Sendable {
        /// A line without its CR LF.
        case line(ArraySlice<UInt8>)
        /// A line over the limit. What follows is dropped up to the next CR LF.
        case tooLong
        /// A line with a bare CR or a bare LF. What follows is dropped up to the next CR LF.
        case bareLineEnd
    }

    /// Octets of a line, CR LF included. RFC 5321 §4.5.3.1.4 asks for 512; parameters add to it (§4.5.3.1.7: RFC 1870
    /// 26, RFC 6152 17, RFC 3461 1,136 and more), and 2,048 has room for them all.
    package static let limit = 2048

    private var octets: [UInt8] = []
    /// Where reading goes on.
    private var start = 0
    /// Up to here no line end was found; not searched again, or one octet at a time would cost the square of a line.
    private var searched = 0
    /// Inside a refused line: everything up to the next CR LF is dropped, and whether the last octet was CR.
    private var dropping: (isOn: Bool, afterCR: Bool) = (false, false)

    package init() {}

    /// What was received and not read yet.
    package var unread: ArraySlice<UInt8> { octets[start...] }

    package mutating func append(_ bytes: [UInt8]) {
        if start == octets.count {
            (octets, start, searched) = (bytes, 0, 0)
            return
        }
        if start > 0 {
            octets.removeFirst(start)
            (start, searched) = (0, searched - start)
        }
        octets += bytes
    }

    /// Marks the first `count` octets of `unread` as read.
    package mutating func consume(_ count: Int) {
        precondition(count <= octets.count - start)
        start += count
        searched = start
        if start == octets.count { (octets, start, searched) = ([], 0, 0) }
    }

    /// The next whole line; nil when its end has not come yet.
    package mutating func next() -> Line? {
        if dropping.isOn { dropLine() }
        guard !dropping.isOn, start < octets.count else { return nil }
        let bound = min(octets.count, start + Self.limit)
        guard let end = search(lineFeed, in: searched..<bound) else {
            searched = bound
            return bound - start == Self.limit ? refuse(.tooLong, upTo: bound) : nil
        }
        guard end > start, octets[end - 1] == carriageReturn else { return refuse(.bareLineEnd, upTo: end + 1) }
        let line = octets[start..<(end - 1)]
        let isClean = search(carriageReturn, in: start..<(end - 1)) == nil
        consume(end + 1 - start)
        return isClean ? .line(line) : .bareLineEnd
    }

    private func search(_ octet: UInt8, in range: Range<Int>) -> Int? {
        octets.withUnsafeBufferPointer { $0.position(of: octet, in: range) }
    }

    private mutating func refuse(_ line: Line, upTo end: Int) -> Line {
        dropping = (true, octets[end - 1] == carriageReturn)
        consume(end - start)
        return line
    }

    /// Goes on dropping a refused line; keeps none of it.
    private mutating func dropLine() {
        while start < octets.count {
            let found = search(lineFeed, in: start..<octets.count)
            guard let end = found else {
                dropping.afterCR = octets.last == carriageReturn
                return consume(octets.count - start)
            }
            let afterCR = end > start ? octets[end - 1] == carriageReturn : dropping.afterCR
            consume(end + 1 - start)
            dropping = (!afterCR, false)
            if afterCR { return }
        }
    }
}
