// Owns: what a log line looks like, as pure functions. Refuses: writing it (StderrLogHandler), the words of delivery
// lines (DeliveryLogLine).

import Logging
import MailModel

/// `[<N>|TIMESTAMP ]message key=value...`, one line an event.
public enum LogFormat: Hashable, Sendable {
    /// stderr goes to the journal, which keeps the time itself and reads a priority (sd-daemon(3)).
    case journal
    /// stderr goes to a terminal, a file, s6-log...: an ISO 8601 time in UTC.
    case timestamped

    /// `JOURNAL_STREAM` is `device:inode` of the stream that systemd made; only if stderr still is that stream does
    /// the journal read it (systemd.exec(5)).
    public init(journalStream: String?, device: UInt64, inode: UInt64) {
        self = journalStream == "\(device):\(inode)" ? .journal : .timestamped
    }

    /// The whole line with its line end.
    public func line(level: Logger.Level, message: String, metadata: Logger.Metadata, now: Timestamp) -> String {
        let start =
            switch self {
            case .journal: "<\(Self.priority(of: level))>"
            case .timestamped: now.iso8601 + " "
            }
        // Dictionaries have no order; sorted keys keep lines comparable.
        let pairs = metadata.sorted { $0.key < $1.key }.map { pair in
            " \(EscapedText.value(pair.key))=\(EscapedText.value(pair.value.description))"
        }
        return start + EscapedText.plain(message) + pairs.joined() + "\n"
    }

    /// The priorities of syslog(3).
    static func priority(of level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}

extension Timestamp {
    /// `2026-11-22T09:58:00.123Z`; years beyond 9999 take the digits they need.
    public var iso8601: String {
        let days = Self.floored(milliseconds, by: 86_400_000)
        let rest = Int(milliseconds &- days &* 86_400_000)
        let (second, milli) = (rest / 1000, rest % 1000)
        let (year, month, day) = Self.civil(days: days)
        return "\(Self.padded(year, 4))-\(Self.padded(month, 2))-\(Self.padded(day, 2))T"
            + "\(Self.padded(second / 3600, 2)):\(Self.padded(second / 60 % 60, 2)):\(Self.padded(second % 60, 2))"
            + ".\(Self.padded(milli, 3))Z"
    }

    /// Division that rounds down, for times before 1970 too.
    private static func floored(_ number: Int64, by divisor: Int64) -> Int64 {
        number / divisor - (number % divisor < 0 ? 1 : 0)
    }

    /// Days since 1970-01-01 as a date of the Gregorian calendar. Years are counted from March, so that the leap day
    /// is the last of its year; 146,097 days make a cycle of 400 years.
    private static func civil(days: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = floored(shifted, by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        return (Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), Int(month), Int(day))
    }

    private static func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
