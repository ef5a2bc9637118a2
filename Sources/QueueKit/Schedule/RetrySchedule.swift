// Owns: when to try again (pure). Refuses: clocks, destinations.

import MailModel

/// Growing pauses between attempts; the last repeats.
public struct RetrySchedule: Hashable, Sendable {
    public let pauses: [Duration]
    /// How long a message is tried in all.
    public let ttl: Duration

    /// - Parameters:
    ///   - pauses: after the first, second... failed attempt; none means one minute, again and again.
    public init(pauses: [Duration], ttl: Duration) {
        self.pauses = pauses.isEmpty ? [.seconds(60)] : pauses
        self.ttl = ttl
    }

    /// The pause after so many failed attempts (from 1), up to a tenth longer: `jitter` is 0 to 1.
    public func pause(afterAttempts attempts: Int, jitter: Double) -> Duration {
        let base = pauses[min(max(attempts, 1), pauses.count) - 1]
        return base + base * (0.1 * min(max(jitter, 0), 1))
    }

    public var longestPause: Duration { pauses.max() ?? .seconds(60) }

    /// Whether a message that arrived at `arrival` is too old at `now`.
    public func isExpired(arrival: Timestamp, now: Timestamp, ttl: Duration? = nil) -> Bool {
        now.since(arrival) >= (ttl ?? self.ttl)
    }
}
