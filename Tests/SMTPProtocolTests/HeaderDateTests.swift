import MailModel
import Testing

@testable import SMTPProtocol

@Suite struct HeaderDateTests {
    @Test(arguments: [
        ("the epoch", Int64(0), 0, "Thu, 1 Jan 1970 00:00:00 +0000"),
        ("a second before", -1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"),
        ("today", 1_795_341_600, 0, "Sun, 22 Nov 2026 10:00:00 +0000"),
        ("west", 1_795_341_600, -570, "Sun, 22 Nov 2026 00:30:00 -0930"),
        ("east, next day", 1_795_341_600, 840, "Mon, 23 Nov 2026 00:00:00 +1400"),
        ("leap day of a century", 951_782_400, 0, "Tue, 29 Feb 2000 00:00:00 +0000"),
        ("day after it", 951_868_800, 0, "Wed, 1 Mar 2000 00:00:00 +0000"),
        ("no leap day in 2100", 4_107_542_400, 0, "Mon, 1 Mar 2100 00:00:00 +0000"),
        ("before it", 4_107_542_399, 0, "Sun, 28 Feb 2100 23:59:59 +0000"),
        ("last second of a year", 1_798_761_599, 0, "Thu, 31 Dec 2026 23:59:59 +0000"),
        ("too early", -9_000_000_000, 0, "Tue, 2 Jan 1900 00:00:00 +0000"),
        ("too late", 9_000_000_000_000, 0, "Thu, 30 Dec 9999 23:59:59 +0000"),
        ("absurd offset", 0, 1440, "Thu, 1 Jan 1970 00:00:00 +0000"),
        ("smallest offset", 0, Int.min + 1, "Thu, 1 Jan 1970 00:00:00 +0000"),
    ]) func writes(reason: String, seconds: Int64, offset: Int, text: String) {
        #expect(MailDate.text(Timestamp(seconds: seconds), offsetMinutes: offset) == text, "\(reason)")
    }

    @Test(arguments: [Int64.min, .max]) func takesAnyTime(milliseconds: Int64) {
        #expect(MailDate.text(Timestamp(milliseconds: milliseconds), offsetMinutes: .min).hasSuffix(" +0000"))
    }
}
