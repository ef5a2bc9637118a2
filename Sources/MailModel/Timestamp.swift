// Owns: a point in wall-clock time as the queue stores it. Refuses: reading any clock, time zones, arithmetic on
// calendars. Waiting never uses this type: the runner waits by the monotonic clock.

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX time).
public struct Timestamp: Hashable, Sendable, Comparable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }
    public init(seconds: Int64) { self.milliseconds = seconds.multipliedReportingOverflow(by: 1000).partialValue }

    /// Whole seconds, rounded down.
    public var seconds: Int64 { milliseconds / 1000 - (milliseconds % 1000 < 0 ? 1 : 0) }

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.milliseconds < b.milliseconds }

    /// The time that lies `duration` later (or earlier, when it is negative).
    public func advanced(by duration: Duration) -> Timestamp {
        Timestamp(milliseconds: milliseconds &+ duration.milliseconds)
    }

    /// How long after `earlier` this time is; negative when it lies before.
    public func since(_ earlier: Timestamp) -> Duration { .milliseconds(milliseconds &- earlier.milliseconds) }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero.
    public var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds &* 1000 &+ attoseconds / 1_000_000_000_000_000
    }

    /// The form of delivery log lines: the non-zero parts of days, hours, minutes and seconds put together, `1d2h3s`;
    /// `0s` when all are zero. Negative durations read as zero: a stepped clock is no reason for a strange log.
    public var logDescription: String {
        var rest = max(0, components.seconds)
        var text = ""
        for (unit, length) in [("d", Int64(86400)), ("h", 3600), ("m", 60), ("s", 1)] {
            if rest / length > 0 { text += "\(rest / length)\(unit)" }
            rest %= length
        }
        return text.isEmpty ? "0s" : text
    }
}
