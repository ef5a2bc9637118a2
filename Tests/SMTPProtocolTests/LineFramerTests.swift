// Owns: tests of LineFramer.

import Testing

@testable import SMTPProtocol

struct LineFramerTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let reason: String
        let input: String
        let lines: [String]
        var testDescription: String { reason }
    }

    static let longest = String(repeating: "x", count: LineFramer.limit - 2)

    static let rows = [
        Row(reason: "one line", input: "NOOP\r\n", lines: ["NOOP"]),
        Row(reason: "an empty line", input: "\r\n", lines: [""]),
        Row(reason: "no end yet", input: "NOOP\r", lines: []),
        Row(reason: "two lines", input: "A\r\nB\r\n", lines: ["A", "B"]),
        Row(reason: "bare LF", input: "A\nB\r\nC\r\n", lines: ["!bare", "C"]),
        Row(reason: "bare LF alone", input: "\n", lines: ["!bare"]),
        Row(reason: "two bare LFs in one line", input: "A\nB\nC\r\nD\r\n", lines: ["!bare", "D"]),
        Row(reason: "bare CR", input: "A\rB\r\nC\r\n", lines: ["!bare", "C"]),
        Row(reason: "CR CR LF", input: "A\r\r\nC\r\n", lines: ["!bare", "C"]),
        Row(reason: "CR LF right behind a bare LF", input: "A\n\r\nC\r\n", lines: ["!bare", "C"]),
        Row(reason: "the longest line", input: longest + "\r\nB\r\n", lines: [longest, "B"]),
        Row(reason: "one octet too many", input: longest + "x\r\nB\r\n", lines: ["!long", "B"]),
        Row(reason: "far too long", input: longest + longest + longest + "\r\nB\r\n", lines: ["!long", "B"]),
        Row(reason: "too long, then a bare LF", input: longest + "xxx\nA\r\nB\r\n", lines: ["!long", "B"]),
        Row(reason: "too long without end", input: longest + "xxx", lines: ["!long"]),
    ]

    @Test(arguments: rows, [1, 2, 3, 7, 1000, 100_000])
    func cuts(_ row: Row, into size: Int) {
        var framer = LineFramer()
        var lines: [String] = []
        var rest = Array(row.input.utf8)[...]
        while !rest.isEmpty {
            framer.append(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
            while let line = framer.next() { lines.append(Self.name(line)) }
        }
        #expect(lines == row.lines)
    }

    /// What is dropped of an endless line must not be kept.
    @Test func endlessLineTakesNoMemory() {
        var framer = LineFramer()
        for _ in 0..<1000 {
            framer.append([UInt8](repeating: UInt8(ascii: "x"), count: 1000))
            while framer.next() != nil {}
            #expect(framer.unread.count < LineFramer.limit)
        }
    }

    @Test func contentIsReadPastTheFramer() {
        var framer = LineFramer()
        framer.append(Array("DATA\r\nx\r\n.\r\nQUIT\r\n".utf8))
        #expect(framer.next().map(Self.name) == "DATA")
        #expect(framer.unread.starts(with: "x\r\n.\r\n".utf8))
        framer.consume(6)
        #expect(framer.next().map(Self.name) == "QUIT")
        #expect(framer.unread.isEmpty)
    }

    private static func name(_ line: LineFramer.Line) -> String {
        switch line {
        case .line(let octets): String(decoding: octets, as: UTF8.self)
        case .tooLong: "!long"
        case .bareLineEnd: "!bare"
        }
    }
}
