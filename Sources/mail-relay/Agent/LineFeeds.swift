// Owns: content as files have it: LF where the wire has CRLF. Refuses: anything else about content; a CR or LF that
// stands alone is kept.

/// Takes content cut anywhere.
struct LineFeeds {
    private static let carriageReturn: UInt8 = 13
    private static let lineFeed: UInt8 = 10

    /// The last octet was a CR: what follows decides.
    private var holdsReturn = false

    mutating func convert(_ input: ArraySlice<UInt8>) -> [UInt8] {
        guard !input.isEmpty else { return [] }
        var out: [UInt8] = []
        out.reserveCapacity(input.count + 1)
        input.withUnsafeBufferPointer { convert($0, into: &out) }
        return out
    }

    /// What was held back when the content ends.
    mutating func finish() -> [UInt8] {
        defer { holdsReturn = false }
        return holdsReturn ? [Self.carriageReturn] : []
    }

    private mutating func convert(_ input: UnsafeBufferPointer<UInt8>, into out: inout [UInt8]) {
        if holdsReturn, input[0] != Self.lineFeed { out.append(Self.carriageReturn) }
        holdsReturn = false
        var start = 0
        while start < input.count {
            var end = start
            while end < input.count, input[end] != Self.carriageReturn { end += 1 }
            out.append(contentsOf: UnsafeBufferPointer(rebasing: input[start..<end]))
            start = end + 1
            if start == input.count { holdsReturn = true }
            if start < input.count, input[start] != Self.lineFeed { out.append(Self.carriageReturn) }
        }
    }
}
