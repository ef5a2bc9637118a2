// Owns: the date and time of mail as text (RFC 5322 §3.3). Refuses: clocks and time zones; both are handed in.

import MailModel

public enum MailDate {
    /// `Sun, 22 Nov 2026 10:00:00 +0000`.
    ///
    /// - Parameters:
    ///   - time: years 1900 (the first that RFC 5322 knows) to 9999; a time outside is moved to the nearer end, because
    ///     a broken clock must not make a broken header.
    ///   - offsetMinutes: of local time east of UTC, under a day; more counts as 0.
    public static func text(_ time: Timestamp, offsetMinutes: Int = 0) -> String {
        let offset = (-1439...1439).contains(offsetMinutes) ? offsetMinutes : 0
        let near = min(max(time.milliseconds, earliest * 1000), latest * 1000)
        let local = floorDivide(near, 1000) + Int64(offset) * 60
        let days = floorDivide(local, 86400)
        let second = Int(local - days * 86400)
        let (year, month, day) = civil(from: days)
        var text: [UInt8] = []
        text.reserveCapacity(32)
        text += weekdays[Int(((days % 7) + 11) % 7)].utf8
        append(day, ", ", 1, to: &text)
        text.append(UInt8(ascii: " "))
        text += months[month - 1].utf8
        append(year, " ", 4, to: &text)
        append(second / 3600, " ", 2, to: &text)
        append(second / 60 % 60, ":", 2, to: &text)
        append(second % 60, ":", 2, to: &text)
        append(abs(offset) / 60, offset < 0 ? " -" : " +", 2, to: &text)
        append(abs(offset) % 60, "", 2, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// 1900-01-02 and 9999-12-30, so that no offset leaves the range of years.
    private static let earliest: Int64 = -2_208_902_400
    private static let latest: Int64 = 253_402_214_399

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// The Gregorian date of a day counted from 1970-01-01. Years are taken to begin in March, so that the leap day is
    /// the last of a year, and counted in eras of 400 years, which all have 146,097 days.
    private static func civil(from days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468  // Days since 0000-03-01.
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), Int(month), Int(day))
    }

    private static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 { a >= 0 ? a / b : (a - b + 1) / b }

    /// A mark and a number: a year of four digits, or at least so many of two.
    private static func append(_ number: Int, _ mark: StaticString, _ digits: Int, to text: inout [UInt8]) {
        mark.withUTF8Buffer { text.append(contentsOf: $0) }
        var unit = digits == 4 ? 1000 : digits == 2 || number > 9 ? 10 : 1
        while unit > 0 {
            text.append(UInt8(ascii: "0") + UInt8(number / unit % 10))
            unit /= 10
        }
    }
}
