// Owns: the two clocks and the random numbers of QueueKit, replaceable in tests. Refuses: formatting times.

import Glibc
import MailModel

public protocol TimeSource: Sendable {
    /// Wall-clock time: what is stored and shown.
    func now() -> Timestamp
    /// Time for waiting: it never steps. Milliseconds since some start.
    func monotonic() -> Int64
}

public struct SystemClock: TimeSource {
    public init() {}

    public func now() -> Timestamp {
        let time = Self.read(CLOCK_REALTIME)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    public func monotonic() -> Int64 {
        let time = Self.read(CLOCK_BOOTTIME)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    private static func read(_ clock: clockid_t) -> timespec {
        var time = timespec()
        clock_gettime(clock, &time)
        return time
    }
}

extension QueueID {
    /// A new name for a message or a file of the spool.
    public static func make(_ clock: any TimeSource) -> QueueID {
        // SystemRandomNumberGenerator is getrandom(2).
        QueueID(now: clock.now(), random: UInt64.random(in: .min ... .max))
    }
}
