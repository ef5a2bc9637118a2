import Testing

@testable import SMTPProtocol

@Suite struct HeaderScannerTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var reason: String
        var text: String
        var fields: [String]
        var rest: String
        var end: HeaderScanner.End
        var limit = 1000
        var testDescription: String { reason }
    }

    @Test(arguments: [
        Row(
            reason: "header and body", text: "A: b\r\nC: d\r\n\r\nbody\r\n", fields: ["A= b", "C= d"], rest: "body\r\n",
            end: .emptyLine),
        Row(
            reason: "folded", text: "A: b\r\n c\r\n\td\r\n\r\n", fields: ["A= b\r\n c\r\n\td+"], rest: "",
            end: .emptyLine),
        Row(
            reason: "white line continues", text: "A: b\r\n \r\nC: d\r\n\r\n", fields: ["A= b\r\n +", "C= d"], rest: "",
            end: .emptyLine),
        Row(
            reason: "no header", text: "Hello world\r\nA: b\r\n", fields: [], rest: "Hello world\r\nA: b\r\n",
            end: .otherLine),
        Row(reason: "body at once", text: "\r\nA: b\r\n", fields: [], rest: "A: b\r\n", end: .emptyLine),
        Row(reason: "white line first", text: " x\r\nA: b\r\n", fields: [], rest: " x\r\nA: b\r\n", end: .otherLine),
        Row(
            reason: "header ends at another line", text: "A: b\r\nnonsense\r\nC: d\r\n", fields: ["A= b"],
            rest: "nonsense\r\nC: d\r\n", end: .otherLine),
        Row(reason: "no body", text: "A: b\r\n", fields: ["A= b"], rest: "", end: .endOfInput),
        Row(
            reason: "last line without end", text: "A: b\r\nC: d", fields: ["A= b", "C= d"], rest: "", end: .endOfInput),
        Row(reason: "last body line without end", text: "A: b\r\nxyz", fields: ["A= b"], rest: "xyz", end: .otherLine),
        Row(reason: "empty", text: "", fields: [], rest: "", end: .endOfInput),
        Row(
            reason: "mbox line", text: "From a Sun Nov 22\r\nA: b\r\n\r\n", fields: ["A= b"], rest: "", end: .emptyLine),
        Row(
            reason: "quoted mbox line", text: ">From a Sun\r\nA: b\r\n\r\n", fields: ["A= b"], rest: "", end: .emptyLine
        ),
        Row(
            reason: "second mbox line is body", text: "From a\r\nFrom b\r\n", fields: [], rest: "From b\r\n",
            end: .otherLine),
        Row(
            reason: "mbox line later is body", text: "A: b\r\nFrom a\r\n", fields: ["A= b"], rest: "From a\r\n",
            end: .otherLine),
        Row(reason: "space before the colon", text: "A : b\r\n\r\n", fields: ["A= b"], rest: "", end: .emptyLine),
        Row(reason: "empty value", text: "A:\r\n\r\n", fields: ["A="], rest: "", end: .emptyLine),
        Row(reason: "empty name", text: ": b\r\n\r\n", fields: [], rest: ": b\r\n\r\n", end: .otherLine),
        Row(reason: "8-bit in the name", text: "Ä: b\r\n", fields: [], rest: "Ä: b\r\n", end: .otherLine),
        Row(reason: "bare LF", text: "A: b\n\nx\n", fields: ["A= b"], rest: "x\n", end: .emptyLine),
        Row(
            reason: "limit at a line", text: "A: b\r\nC: defgh\r\n\r\nx", fields: ["A= b"], rest: "C: defgh\r\n\r\nx",
            end: .limit, limit: 10),
        Row(
            reason: "limit within the first line", text: "A: bcdefghijklm", fields: [], rest: "A: bcdefghijklm",
            end: .limit, limit: 5),
        Row(reason: "limit zero", text: "A: b\r\n", fields: [], rest: "A: b\r\n", end: .limit, limit: 0),
    ]) func scans(_ row: Row) {
        for size in 1...max(1, row.text.utf8.count) {
            var scanner = HeaderScanner(limit: row.limit)
            let bytes = Array(row.text.utf8)
            for start in stride(from: 0, to: bytes.count, by: size) {
                scanner.append(bytes[start..<min(start + size, bytes.count)])
            }
            scanner.finish()
            let fields = scanner.fields.map { field in
                "\(field.name)=" + String(decoding: scanner.bytes[field.value], as: UTF8.self)
                    + (field.isFolded ? "+" : "")
            }
            #expect(fields == row.fields)
            #expect(String(decoding: scanner.rest, as: UTF8.self) == row.rest)
            #expect(scanner.end == row.end)
            #expect(scanner.fields.last?.range.upperBound ?? 0 == scanner.bytes.count)
        }
    }

    @Test func unfolds() {
        let scanner = HeaderScanner(scanning: Array("subject:  a\r\n b \r\nX: \r\n\r\n".utf8))
        #expect(scanner.value(of: "Subject") == Array("a b".utf8))
        #expect(scanner.value(of: "x") == [])
        #expect(scanner.value(of: "y") == nil)
    }

    /// 20,000 short lines are scanned once each, however they come.
    @Test func manyLinesAreLinear() {
        var scanner = HeaderScanner(limit: 1 << 20)
        for _ in 0..<20_000 { scanner.append(Array("A: b\r\n".utf8)) }
        #expect(scanner.fields.count == 20_000)
    }
}
