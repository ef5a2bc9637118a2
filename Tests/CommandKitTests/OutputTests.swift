import Glibc
import Logging
import MailModel
import SystemPackage
import Testing

@testable import CommandKit

struct LogFormatTests {
    private let now = Timestamp(milliseconds: 1_795_341_480_123)

    @Test func `a terminal gets the time`() {
        let line = LogFormat.timestamped.line(level: .info, message: "started", metadata: [:], now: now)
        #expect(line == "2026-11-22T09:58:00.123Z started\n")
    }

    @Test func `the journal gets a priority instead`() {
        let line = LogFormat.journal.line(level: .error, message: "cannot x", metadata: [:], now: now)
        #expect(line == "<3>cannot x\n")
    }

    @Test(arguments: [
        ("bare", "a.b-c/d:1", "a.b-c/d:1"),
        ("empty", "", "\"\""),
        ("a blank", "a b", "\"a b\""),
        ("an equals sign would look like a key", "a=b", "\"a=b\""),
        ("a quote", "a\"b", "\"a\\\"b\""),
        ("a backslash", "a\\b", "\"a\\\\b\""),
        ("a line end", "a\nb", "\"a\\x0ab\""),
        ("no ASCII", "ä", "\"ä\""),
    ])
    func `values are quoted where they must be`(reason: String, value: String, expected: String) {
        let line = LogFormat.journal.line(level: .info, message: "m", metadata: ["k": .string(value)], now: now)
        #expect(line == "<6>m k=\(expected)\n", "\(reason)")
    }

    @Test func `keys are in order and the message cannot start a line of its own`() {
        let line = LogFormat.journal.line(level: .info, message: "a\nb", metadata: ["z": "1", "b": "2"], now: now)
        #expect(line == "<6>a\\x0ab b=2 z=1\n")
    }

    @Test(arguments: [
        ("5:77" as String?, LogFormat.journal), ("5:78", .timestamped), ("5", .timestamped), ("", .timestamped),
        (nil, .timestamped),
    ])
    func `only the journal's own stream is the journal`(variable: String?, expected: LogFormat) {
        #expect(LogFormat(journalStream: variable, device: 5, inode: 77) == expected)
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"), (4_107_542_399_999, "2100-02-28T23:59:59.999Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"), (253_402_300_800_000, "10000-01-01T00:00:00.000Z"),
    ])
    func `dates`(milliseconds: Int64, expected: String) {
        #expect(Timestamp(milliseconds: milliseconds).iso8601 == expected)
    }

    @Test(arguments: [Int64.min, Int64.max])
    func `absurd times do not trap`(milliseconds: Int64) {
        #expect(!Timestamp(milliseconds: milliseconds).iso8601.isEmpty)
    }

    @Test func `the handler writes one line and keeps to its level`() throws {
        let (reader, writer) = try FileDescriptor.pipe()
        let handler = StderrLogHandler(level: .notice, format: .journal, descriptor: writer)
        var log = Logger(label: "t") { _ in handler }
        log[metadataKey: "pid"] = "1"
        log.info("not shown")
        log.warning("shown", metadata: ["a": "b c"])
        try writer.close()
        #expect(try readAll(reader) == "<4>shown a=\"b c\" pid=1\n")
    }
}

struct DeliveryLogLineTests {
    private func line(original: Mailbox? = nil, reply: String = "250 ok") throws -> DeliveryLogLine {
        let id = try #require(QueueID("0123456789abcdefghij"))
        let destination = try #require(Mailbox("bob@example.net"))
        let sender = try #require(Mailbox("ann@example.org"))
        return DeliveryLogLine(
            session: 0xAB, id: id, recipientNumber: 3, reversePath: .mailbox(sender), destination: destination,
            original: original, delay: .seconds(93_603), result: .ok, reply: reply)
    }

    @Test func `mta`() throws {
        #expect(
            try line().mta(source: "192.0.2.1", relay: "mx.example.net/198.51.100.1")
                == "00000000000000ab mta delivery evpid=0123456789abcdefghij.3 from=<ann@example.org> "
                + "to=<bob@example.net> rcpt=<-> source=\"192.0.2.1\" relay=\"mx.example.net/198.51.100.1\" "
                + "delay=1d2h3s result=\"Ok\" stat=\"250 ok\"")
    }

    @Test func `mta with an alias, no connection and a hostile reply`() throws {
        var line = try line(original: Mailbox("root@example.net"), reply: "550 \"no\"\r\nfaked")
        line.reversePath = .null
        line.result = .permanentFailure
        #expect(
            line.mta(source: nil, relay: "")
                == "00000000000000ab mta delivery evpid=0123456789abcdefghij.3 from=<> to=<bob@example.net> "
                + "rcpt=<root@example.net> source=\"-\" relay=\"\" delay=1d2h3s result=\"PermFail\" "
                + "stat=\"550 \\\"no\\\"\\x0d\\x0afaked\"")
    }

    @Test func `mda quotes nothing and leaves rcpt out`() throws {
        #expect(
            try line(reply: "Delivered").mda(user: "bob")
                == "00000000000000ab mda delivery evpid=0123456789abcdefghij.3 from=<ann@example.org> "
                + "to=<bob@example.net> user=bob delay=1d2h3s result=Ok stat=Delivered")
    }
}

struct JSONTests {
    @Test func `members keep their order`() {
        let value: JSONValue = ["b": 1, "a": [true, .null, "x"], "c": ["d": -5]]
        #expect(value.rendered == #"{"b":1,"a":[true,null,"x"],"c":{"d":-5}}"#)
    }

    @Test(arguments: [
        ("quote and backslash", "\"\\", #""\"\\""#), ("line ends", "\r\n\t", #""\r\n\t""#),
        ("C0, DEL, C1", "\u{0}\u{1F}\u{7F}\u{9B}", #""\u0000\u001f\u007f\u009b""#),
        ("line separators", "\u{2028}", #""\u2028""#), ("text", "ä数😀/", #""ä数😀/""#),
    ])
    func `strings are escaped and read back`(reason: String, text: String, expected: String) throws {
        #expect(JSONValue.string(text).rendered == expected, "\(reason)")
        #expect(try JSONValue(parsing: expected) == .string(text), "\(reason)")
    }

    @Test func `what is no UTF-8 is replaced`() {
        #expect(JSONValue.text([0x61, 0xFF]).rendered == "\"a\u{FFFD}\"")
        #expect(JSONValue.double(.nan).rendered == "null")
    }

    @Test(arguments: [
        (" {} ", "{}"), ("[1,2 , 3]", "[1,2,3]"), ("-0", "0"), ("1.5e1", "15.0"),
        ("9223372036854775807", nil as String?),
        ("9223372036854775808", "9.223372036854776e+18"), (#""\ud83d\ude00""#, "\"😀\""),
        (#""\ud83dx""#, "\"\u{FFFD}x\""), (#""\ud83d\u0041""#, "\"\u{FFFD}A\""), (#""\/\b\f""#, #""/\u0008\u000c""#),
        ("[[[[[[[[1]]]]]]]]", nil),
    ])
    func `valid text`(text: String, rendered: String?) throws {
        #expect(try JSONValue(parsing: text).rendered == rendered ?? text)
    }

    @Test(arguments: [
        ("nothing", ""), ("two values", "1 2"), ("comma at the end", "[1,]"), ("no key", "{1:2}"),
        ("no colon", "{\"a\" 1}"), ("key twice", #"{"a":1,"a":2}"#), ("too deep", "[[[[[[[[[1]]]]]]]]]"),
        ("raw control", "\"\n\""), ("no such escape", #""\x""#), ("short escape", #""\u12""#), ("leading zero", "01"),
        ("plus", "+1"), ("no digit", "1."), ("no exponent", "1e"), ("huge", "1e999"), ("cut word", "tru"),
        ("cut string", "\"a"), ("cut at the backslash", "\"\\"), ("cut object", "{\"a\":1"), ("not a number", "nan"),
        ("half a pair, cut", #""\ud83d\u"#), ("minus alone", "-"),
    ])
    func `invalid text`(reason: String, text: String) {
        #expect(throws: JSONSyntaxError.self, "\(reason)") { try JSONValue(parsing: text) }
    }

    @Test func `errors name the place`() {
        let error = #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: "{\"a\" 1}") }
        #expect(error?.description == "not valid JSON at byte 6: a colon belongs here")
    }

    @Test func `length is bounded`() {
        let long = [UInt8](repeating: UInt8(ascii: " "), count: JSONValue.sizeLimit + 1)
        #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: long) }
    }

    @Test func `members are found by name`() throws {
        let value = try JSONValue(parsing: #"{"s":"x","i":4,"b":false,"a":[]}"#)
        #expect(value["s"]?.string == "x")
        #expect(value["i"]?.int == 4)
        #expect(value["b"]?.bool == false)
        #expect(value["a"]?.array == [])
        #expect(value["none"] == nil)
    }
}

struct StandardOutputTests {
    @Test func `a reader that went away is no failure`() throws {
        Signals.ignoreBrokenPipes()
        let (reader, writer) = try FileDescriptor.pipe()
        try reader.close()
        defer { try? writer.close() }
        let error = #expect(throws: QuietExit.self) { try StandardOutput.write(bytes: [1], to: writer) }
        #expect(error?.status == .success)
    }

    @Test func `a full disk is 74`() throws {
        let full = try FileDescriptor.open("/dev/full", .writeOnly)
        defer { try? full.close() }
        let error = #expect(throws: CommandFailure.self) { try StandardOutput.write(bytes: [1], to: full) }
        #expect(error?.status == .ioError)
    }
}

/// All that can be read until the other side closes; closes the descriptor.
func readAll(_ descriptor: FileDescriptor) throws -> String {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    for _ in 0..<10_000 {
        let count = try chunk.withUnsafeMutableBytes { try descriptor.read(into: $0) }
        if count == 0 { break }
        all += chunk.prefix(count)
    }
    try descriptor.close()
    return String(decoding: all, as: UTF8.self)
}
