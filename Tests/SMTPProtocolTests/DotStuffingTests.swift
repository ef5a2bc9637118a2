// Owns: tests of DotUnstuffer and DotStuffer.

import Testing

@testable import SMTPProtocol

struct DotStuffingTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let reason: String
        let wire: String
        let content: String
        /// `c` bare CR, `l` bare LF, `e` the end was found.
        let findings: String
        var rest = ""
        var testDescription: String { reason }
    }

    static let rows = [
        Row(reason: "empty", wire: ".\r\n", content: "", findings: "e"),
        Row(reason: "one line", wire: "a\r\n.\r\n", content: "a\r\n", findings: "e"),
        Row(reason: "commands follow", wire: "a\r\n.\r\nQUIT\r\n", content: "a\r\n", findings: "e", rest: "QUIT\r\n"),
        Row(reason: "an end follows", wire: ".\r\n.\r\n", content: "", findings: "e", rest: ".\r\n"),
        Row(reason: "a stuffed dot", wire: "..\r\n.\r\n", content: ".\r\n", findings: "e"),
        Row(reason: "a dot that was not doubled", wire: ".a\r\n.\r\n", content: "a\r\n", findings: "e"),
        Row(reason: "dots within a line", wire: "a.\r\nb..\r\n.\r\n", content: "a.\r\nb..\r\n", findings: "e"),
        Row(reason: "no end yet", wire: "a\r\n.", content: "a\r\n", findings: ""),
        Row(reason: "no end yet, CR held back", wire: "a\r\n.\r", content: "a\r\n", findings: ""),
        Row(reason: "LF . LF", wire: "a\n.\nb\r\n.\r\n", content: "a\n.\nb\r\n", findings: "le"),
        Row(reason: "LF . CR LF", wire: "a\n.\r\nb\r\n.\r\n", content: "a\n.\r\nb\r\n", findings: "le"),
        Row(reason: "CR . CR", wire: "a\r.\rb\r\n.\r\n", content: "a\r.\rb\r\n", findings: "ce"),
        Row(reason: "CR LF . LF", wire: "a\r\n.\nb\r\n.\r\n", content: "a\r\n\nb\r\n", findings: "le"),
        Row(reason: "CR LF . CR", wire: "a\r\n.\rb\r\n.\r\n", content: "a\r\n\rb\r\n", findings: "ce"),
        Row(reason: "CR LF . CR CR LF", wire: "\r\n.\r\r\n.\r\n", content: "\r\n\r\r\n", findings: "ce"),
        Row(reason: "LF . CR", wire: "a\n.\rb\r\n.\r\n", content: "a\n.\rb\r\n", findings: "cle"),
        Row(reason: "CR CR LF . CR LF", wire: "a\r\r\n.\r\nb", content: "a\r\r\n", findings: "ce", rest: "b"),
        Row(reason: "a bare LF first of all", wire: "\n.\r\n.\r\n", content: "\n.\r\n", findings: "le"),
        Row(reason: "NUL behind the dot", wire: ".\0\r\n.\r\n", content: "\0\r\n", findings: "e"),
        Row(reason: "NUL before the dot", wire: "\0.\r\n.\r\n", content: "\0.\r\n", findings: "e"),
    ]

    @Test(arguments: rows, [1, 2, 3, 5, 100])
    func decodes(_ row: Row, inChunksOf size: Int) {
        var unstuffer = DotUnstuffer()
        var content: [UInt8] = []
        var counter = DotUnstuffer()
        let wire = Array(row.wire.utf8)
        var start = 0
        while start < wire.count && !unstuffer.isAtEnd {
            let chunk = wire[start..<min(wire.count, start + size)]
            let (part, read) = unstuffer.decode(chunk)
            #expect(counter.decode(chunk, keeping: false) == ([], read))
            #expect(read == chunk.count || unstuffer.isAtEnd)
            content += part
            start += read
        }
        #expect(String(decoding: content, as: UTF8.self) == row.content)
        #expect(String(decoding: wire[start...], as: UTF8.self) == row.rest)
        #expect(Self.findings(unstuffer) == row.findings)
        #expect(unstuffer.octets == content.count && counter.octets == content.count)
    }

    private static func findings(_ unstuffer: DotUnstuffer) -> String {
        (unstuffer.hasBareCR ? "c" : "") + (unstuffer.hasBareLF ? "l" : "") + (unstuffer.isAtEnd ? "e" : "")
    }

    @Test(arguments: [1, 10, 4096])
    func longLinesAreCountedAndPass(inChunksOf size: Int) {
        let lines = [998, 999, 0, 5000].map { String(repeating: "x", count: $0) + "\r\n" }.joined()
        var unstuffer = DotUnstuffer()
        var content: [UInt8] = []
        var rest = Array((lines + ".\r\n").utf8)[...]
        while !rest.isEmpty {
            content += unstuffer.decode(rest.prefix(size)).content
            rest = rest.dropFirst(size)
        }
        #expect(unstuffer.longLines == 2)
        #expect(content == Array(lines.utf8))
    }

    @Test(arguments: [
        ("", ".\r\n", false), ("a", "a\r\n.\r\n", false), ("a\r\n", "a\r\n.\r\n", false), (".", "..\r\n.\r\n", false),
        (".\r\n.\r\n", "..\r\n..\r\n.\r\n", false), ("a.\r\n..b", "a.\r\n...b\r\n.\r\n", false),
        ("a\n.b\r\n", "a\n.b\r\n.\r\n", true), ("a\r.b\r\n", "a\r.b\r\n.\r\n", true), ("a\r", "a\r\r\n.\r\n", true),
    ])
    func encodes(_ content: String, _ wire: String, hasBareLineEnd: Bool) {
        for size in [1, 2, 3, 100] {
            var stuffer = DotStuffer()
            var out: [UInt8] = []
            var rest = Array(content.utf8)[...]
            while !rest.isEmpty {
                out += stuffer.encode(rest.prefix(size))
                rest = rest.dropFirst(size)
            }
            out += stuffer.finish()
            #expect(String(decoding: out, as: UTF8.self) == wire)
            #expect(stuffer.hasBareLineEnd == hasBareLineEnd)
        }
    }

    /// Whatever lines there are, they come back; with a CR LF at the end when they had none.
    @Test func everyContentComesBack() {
        var random = SplitMix(seed: 1)
        for _ in 0..<500 {
            let pieces = ["\r\n", ".", "a", "..", "\r\n.", "\0", "\u{fc}"]
            let content = Array((0..<random.below(30)).map { _ in pieces[random.below(pieces.count)] }.joined().utf8)
            var stuffer = DotStuffer()
            let cut = random.below(content.count + 1)
            let wire = stuffer.encode(content[..<cut]) + stuffer.encode(content[cut...]) + stuffer.finish()
            var unstuffer = DotUnstuffer()
            let decoded = unstuffer.decode(wire[...])
            let isWhole = content.isEmpty || content.suffix(2) == [13, 10]
            #expect(decoded.content == content + (isWhole ? [] : [13, 10]))
            #expect(decoded.read == wire.count && unstuffer.isAtEnd && !stuffer.hasBareLineEnd)
        }
    }
}

/// A generator that gives the same row for the same seed, on every machine.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// 0 to `bound` - 1; 0 when `bound` is 0.
    mutating func below(_ bound: Int) -> Int { bound > 0 ? Int(next() % UInt64(bound)) : 0 }
}
