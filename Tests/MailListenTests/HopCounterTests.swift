import Testing

@testable import mail_listen

struct HopCounterTests {
    static let rows: [(String, String, Int)] = [
        ("none", "Subject: x\r\n\r\n", 0),
        ("plain", "Received: a\r\nReceived: b\r\nTo: c\r\n\r\n", 2),
        ("any case", "RECEIVED: a\r\nreceived: b\r\n", 2),
        ("blanks before the colon", "Received \t: a\r\n", 1),
        ("folded lines count once", "Received: a\r\n\tReceived: b\r\n", 1),
        ("other names that begin so", "Received-SPF: pass\r\nReceivedX: y\r\n", 0),
        ("a name cut short", "Receive: a\r\nRec\r\n", 0),
        ("the body does not count", "Received: a\r\n\r\nReceived: b\r\nReceived: c\r\n", 1),
        ("an empty header", "\r\nReceived: b\r\n", 0),
        ("without colon", "Received\r\nReceived a: b\r\n", 0),
        ("a name at the end", "Received", 0),
        ("empty", "", 0),
    ]

    @Test(arguments: rows) func count(_ why: String, text: String, expected: Int) {
        var whole = HopCounter()
        whole.read(Array(text.utf8))
        #expect(whole.count == expected)
        var cut = HopCounter()
        for octet in text.utf8 { cut.read([octet]) }
        #expect(cut.count == expected)
    }

    @Test func oneHundredAreLetPass() {
        var counter = HopCounter()
        counter.read(Array(String(repeating: "Received: a\r\n", count: 100).utf8))
        #expect(!counter.isLoop)
        counter.read(Array("Received: a\r\n".utf8))
        #expect(counter.isLoop)
    }

    @Test func aHeaderWithoutEndIsReadNoFurther() {
        var counter = HopCounter()
        counter.read([UInt8](repeating: UInt8(ascii: "x"), count: HopCounter.headerLimit - 2) + [13, 10])
        counter.read(Array(String(repeating: "Received: a\r\n", count: 200).utf8))
        #expect(counter.count == 0)
    }
}
