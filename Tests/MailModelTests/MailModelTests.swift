import Testing

@testable import MailModel

@Suite struct MailboxTests {
    @Test(arguments: [
        ("a@b.example", "a", "b.example"),
        ("\"a b\"@b.example", "a b", "b.example"),
        ("\"a\\\"b\"@b.example", "a\"b", "b.example"),
        ("\"plain\"@b.example", "plain", "b.example"),
        ("x+y@[192.0.2.1]", "x+y", "[192.0.2.1]"),
        ("x@[IPv6:2001:db8::1]", "x", "[IPv6:2001:db8::1]"),
        ("ü@ü.example", "ü", "ü.example"),
        ("under@_dmarc.example", "under", "_dmarc.example"),
    ])
    func reads(text: String, local: String, domain: String) throws {
        let mailbox = try #require(Mailbox(text))
        #expect(mailbox.localPart == local && mailbox.domain == domain)
        #expect(Mailbox(mailbox.description) == mailbox, "what is written reads back")
    }

    @Test(arguments: [
        "", "a", "@b.example", "a@", ".a@b.example", "a.@b.example", "a..b@c.example", "a b@c.example", "a@b..c",
        "a@-b.example", "a@b-.example", "a@[]", "a@[1.2.3.4", "a@b.example>", "a@b@c", "a\r\n@b.example",
        "\"a\r\nb\"@c.example", "a@b\u{0}.example", String(repeating: "x", count: 65) + "@b.example",
        "a@" + String(repeating: "x", count: 64) + ".example", "\"open@b.example",
    ])
    func refuses(text: String) { #expect(Mailbox(text) == nil) }

    @Test func aQuoteWithACombiningMarkIsQuoted() throws {
        let found = Mailbox(localPart: "x\"\u{301}y", domain: "b.example")
        let mailbox = try #require(found)
        let expected = "\"x\\\"\u{301}y\""
        #expect(Array(mailbox.quotedLocalPart.unicodeScalars) == Array(expected.unicodeScalars))
    }

    @Test func domainsCompareWithoutCaseLocalPartsWith() {
        #expect(Mailbox("a@B.example") == Mailbox("a@b.EXAMPLE"))
        #expect(Mailbox("A@b.example") != Mailbox("a@b.example"))
    }
}

@Suite struct QueueIDTests {
    @Test func readsBackAndSortsByTime() throws {
        let early = QueueID(now: Timestamp(milliseconds: 1_800_000_000_000), random: .max)
        let late = QueueID(now: Timestamp(milliseconds: 1_800_000_000_001), random: 0)
        for id in [early, late] {
            #expect(QueueID(id.description) == id)
            #expect(QueueID(id.description.uppercased()) == id)
            #expect(QueueID(bytes: id.bytes) == id)
            #expect(id.description.utf8.count == 20)
        }
        #expect(early < late && early.description < late.description)
    }

    @Test(arguments: ["", "0", "0000000000000000000w", "000000000000000000000", "0000000000000000000ü"])
    func refuses(text: String) { #expect(QueueID(text) == nil) }
}

@Suite struct ValueTests {
    @Test(arguments: ["2.0.0", "4.3.1", "5.1.10", "5.7.999"])
    func statusCodes(text: String) { #expect(EnhancedStatusCode(text)?.description == text) }

    @Test(arguments: ["3.0.0", "5.1", "5.1.01", "5.1.1000", "5..1", "5.1.1 ", "5.-1.1", ""])
    func noStatusCodes(text: String) { #expect(EnhancedStatusCode(text) == nil) }

    @Test(arguments: [(0, "0s"), (59, "59s"), (60, "1m"), (3661, "1h1m1s"), (93_603, "1d2h3s"), (-5, "0s")])
    func durations(seconds: Int, text: String) { #expect(Duration.seconds(seconds).logDescription == text) }

    @Test(
        arguments: [(0, 0), (1999, 1), (-1, -1), (-1000, -1), (-1001, -2), (.min, -9_223_372_036_854_776)]
            as [(Int64, Int64)])
    func wholeSeconds(milliseconds: Int64, seconds: Int64) {
        #expect(Timestamp(milliseconds: milliseconds).seconds == seconds)
    }
}
