// Owns: when something that failed is tried again. Refuses: trying.

/// Growing pauses, from one second to a minute; nothing failed yet at the start.
struct Backoff: Hashable, Sendable {
    private static let longest: Int64 = 60_000
    private var due: Int64 = .min
    private var pause: Int64 = 1000

    mutating func failed(_ clock: any TimeSource) {
        due = clock.monotonic() + pause
        pause = min(pause * 2, Self.longest)
    }

    func isDue(_ clock: any TimeSource) -> Bool { clock.monotonic() >= due }
}
