// Owns: how new segments are written. Refuses: how old ones are read: each says that itself.

/// What becomes of a message's bytes on their way to disk. Changing it strands nothing: every file describes itself.
public struct Protection: Sendable {
    /// Seals each new segment; nil stores in clear.
    public var sealer: SegmentSealer?
    /// Whether contents are compressed where it pays; envelopes never are.
    public var compressing: Bool

    public init(sealer: SegmentSealer? = nil, compressing: Bool = false) {
        (self.sealer, self.compressing) = (sealer, compressing)
    }

    /// Stored as it came.
    public static let none = Protection()
}
