import MailModel
import Testing

@testable import SMTPProtocol

@Suite struct ReplyParserTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var reason: String
        var bytes: String
        var summaries: [String]
        var error: ReplyError?
        var testDescription: String { reason }
    }

    static let long = String(repeating: "x", count: 5000)

    @Test(arguments: [
        Row(reason: "one line", bytes: "250 ok\r\n", summaries: ["250 ok"]),
        Row(reason: "status of the same class", bytes: "550 5.1.1 no\r\n", summaries: ["550 5.1.1 no"]),
        Row(reason: "status of another class is text", bytes: "550 4.1.1 no\r\n", summaries: ["550 4.1.1 no"]),
        Row(
            reason: "status on each line is told once", bytes: "250-2.0.0 a\r\n250 2.0.0 b\r\n",
            summaries: ["250 2.0.0 a b"]),
        Row(
            reason: "another status on the second line stays", bytes: "250-2.0.0 a\r\n250 2.0.0.1 b\r\n",
            summaries: ["250 2.0.0 a 2.0.0.1 b"]),
        Row(reason: "code alone", bytes: "250\r\n", summaries: ["250"]),
        Row(reason: "code and space", bytes: "250 \r\n", summaries: ["250"]),
        Row(reason: "code and hyphen alone", bytes: "250-\r\n250 x\r\n", summaries: ["250  x"]),
        Row(reason: "two replies glued", bytes: "250 a\r\n550 b\r\n", summaries: ["250 a", "550 b"]),
        Row(reason: "bare LF", bytes: "250 a\n550 b\n", summaries: ["250 a", "550 b"]),
        Row(reason: "bare CR is an octet", bytes: "250 a\rb\r\n", summaries: ["250 a\\x0Db"]),
        Row(reason: "half a line", bytes: "250 a", summaries: []),
        Row(reason: "code beyond the grammar", bytes: "299 a\r\n", summaries: ["299 a"]),
        Row(reason: "tab and control octets", bytes: "250 a\tb\u{1}\u{7f}\r\n", summaries: ["250 a b\\x01\\x7F"]),
        Row(reason: "UTF-8 is escaped", bytes: "250 \u{202e}\r\n", summaries: ["250 \\xE2\\x80\\xAE"]),
        Row(
            reason: "long line is cut", bytes: "250 \(long)\r\n550 b\r\n",
            summaries: ["250 " + String(repeating: "x", count: 996), "550 b"]),
        Row(reason: "1yz", bytes: "199 a\r\n", summaries: [], error: .garbage("199 a")),
        Row(reason: "6yz", bytes: "600 a\r\n", summaries: [], error: .garbage("600 a")),
        Row(reason: "two digits", bytes: "25 a\r\n", summaries: [], error: .garbage("25 a")),
        Row(reason: "four digits", bytes: "2500 a\r\n", summaries: [], error: .garbage("2500 a")),
        Row(reason: "no space", bytes: "250ok\r\n", summaries: [], error: .garbage("250ok")),
        Row(reason: "empty line", bytes: "\r\n", summaries: [], error: .garbage("")),
        Row(
            reason: "code of other digits", bytes: "２５０ ok\r\n", summaries: [],
            error: .garbage("\\xEF\\xBC\\x92\\xEF\\xBC\\x95\\xEF\\xBC\\x90 ok")),
        Row(
            reason: "a reply before the garbage counts", bytes: "250 a\r\nb\r\n", summaries: ["250 a"],
            error: .garbage("b")),
        Row(reason: "mixed codes", bytes: "250-a\r\n251 b\r\n", summaries: [], error: .mixedCodes("251 b")),
        Row(
            reason: "101 lines", bytes: String(repeating: "250-a\r\n", count: 101), summaries: [], error: .tooManyLines),
        Row(
            reason: "endless line", bytes: "250 " + String(repeating: "x", count: 70000), summaries: [], error: .tooLong
        ),
        Row(
            reason: "many long lines", bytes: String(repeating: "250-\(long)\r\n", count: 14), summaries: [],
            error: .tooLong),
    ]) func reads(_ row: Row) {
        for size in [row.bytes.utf8.count, 1, 3] {
            #expect(Self.parse(Array(row.bytes.utf8), by: size) == (row.summaries, row.error), "chunks of \(size)")
        }
    }

    static func parse(_ bytes: [UInt8], by size: Int) -> ([String], ReplyError?) {
        var parser = ReplyParser()
        var summaries: [String] = []
        for start in stride(from: 0, to: bytes.count, by: size) {
            parser.append(Array(bytes[start..<min(start + size, bytes.count)]))
            do throws(ReplyError) {
                while let reply = try parser.next() { summaries.append(reply.summary) }
            } catch {
                return (summaries, error)
            }
        }
        return (summaries, nil)
    }

    @Test(arguments: [
        ("250 a", "2.0.0"), ("421 a", "4.3.2"), ("450 a", "4.2.0"), ("451 a", "4.3.0"), ("452 a", "4.3.1"),
        ("499 a", "4.0.0"),
        ("500 a", "5.5.1"), ("501 a", "5.5.4"), ("550 a", "5.0.0"), ("550 5.7.1 a", "5.7.1"), ("552 a", "5.2.2"),
        ("553 a", "5.1.3"), ("556 a", "5.1.10"), ("250 5.0.0 a", "2.0.0"), ("550 5.01.1 a", "5.0.0"),
        ("550 5.1.1", "5.1.1"),
    ]) func derivesStatus(line: String, status: String) throws {
        var parser = ReplyParser()
        parser.append(Array((line + "\r\n").utf8))
        let reply = try #require(try parser.next())
        #expect(RecipientResult(reply).status.description == status)
    }

    @Test func knowsWhetherBytesAreLeft() throws {
        var parser = ReplyParser()
        #expect(parser.isEmpty)
        parser.append(Array("250 a\r\n2".utf8))
        #expect(!parser.isEmpty)
        #expect(try parser.next()?.code == 250)
        #expect(try parser.next() == nil)
        #expect(!parser.isEmpty)
        parser.append(Array("50-b\r\n".utf8))
        #expect(try parser.next() == nil)
        #expect(!parser.isEmpty, "a reply was begun")
        parser.append(Array("250 b\r\n".utf8))
        #expect(try parser.next()?.lines == ["b", "b"])
        #expect(parser.isEmpty)
    }

    @Test(arguments: [
        (0, ""), (3, "ab"), (5, "ab"), (6, "ab\\x00"), (7, "ab\\x00c"), (100, "ab\\x00cd"),
    ]) func cutsBetweenEscapes(limit: Int, text: String) {
        #expect(PeerText.printable("ab\0cd", limit: limit) == text)
    }
}
