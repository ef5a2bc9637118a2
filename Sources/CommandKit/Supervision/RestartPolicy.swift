// Owns: how long to wait before a program that ended is started again. Refuses: clocks, processes.

/// Pauses of 1, 2, 4... 60 seconds: a program that cannot live costs a start a minute, one that fell over once is back
/// in a second.
public struct RestartPolicy: Hashable, Sendable {
    public static let firstPause = Duration.seconds(1)
    public static let longestPause = Duration.seconds(60)
    /// Who lived so long was well: the pauses start again from the first. Not less than the longest pause, or a
    /// program that fails after a while would never get there.
    public static let goodLife = Duration.seconds(60)

    private var next = firstPause

    public init() {}

    /// The pause before the next start, after a life of that length.
    public mutating func pause(afterLifeOf life: Duration) -> Duration {
        if life >= Self.goodLife { next = Self.firstPause }
        defer { next = min(next * 2, Self.longestPause) }
        return next
    }
}
