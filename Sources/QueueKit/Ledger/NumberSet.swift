// Owns: which numbers of a writer's run are retired, packed: nearly always "all below N". Refuses: knowing why.

/// A set of numbers that grows mostly at its end.
struct NumberSet: Hashable, Sendable {
    /// A run with more holes than these is no writer's of ours: the lowest holes are then filled, so that a number in
    /// them counts as retired.
    static let holeLimit = 1000

    /// All numbers below it are in the set.
    private(set) var below: UInt64 = 0
    /// The others, in order, none touching its neighbour or `below`.
    private(set) var beyond: [ClosedRange<UInt64>] = []

    init() {}

    /// From bytes of a file; nil unless they are what a set of ours looks like.
    init?(below: UInt64, beyond: [ClosedRange<UInt64>]) {
        guard beyond.count <= Self.holeLimit, beyond.first.map({ $0.lowerBound > below }) ?? true else { return nil }
        for (range, next) in zip(beyond, beyond.dropFirst())
        where range.upperBound == .max || next.lowerBound <= range.upperBound + 1 {
            return nil
        }
        (self.below, self.beyond) = (below, beyond)
    }

    func contains(_ number: UInt64) -> Bool {
        if number < below { return true }
        let index = place(of: number)
        return index < beyond.count && beyond[index].contains(number)
    }

    /// The first range that ends at `number` or after it.
    private func place(of number: UInt64) -> Int {
        var (low, high) = (0, beyond.count)
        while low < high {
            let middle = (low + high) / 2
            if beyond[middle].upperBound < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    mutating func insert(_ number: UInt64) {
        guard !contains(number) else { return }
        var range = number...number
        var index = place(of: number)
        if index < beyond.count, beyond[index].lowerBound == number &+ 1 {
            range = number...beyond.remove(at: index).upperBound
        }
        if index > 0, beyond[index - 1].upperBound == number &- 1 {
            index -= 1
            range = beyond.remove(at: index).lowerBound...range.upperBound
        }
        beyond.insert(range, at: index)
        settle()
    }

    private mutating func settle() {
        while let first = beyond.first, first.upperBound < .max,
            first.lowerBound == below || beyond.count > Self.holeLimit
        {
            below = first.upperBound + 1
            beyond.removeFirst()
        }
    }

    /// What is missing from `floor` on below the largest number of the set or of `others`.
    func holes(from floor: UInt64, besides others: some Sequence<UInt64>) -> [ClosedRange<UInt64>] {
        var holes: [ClosedRange<UInt64>] = []
        var position = max(below, floor)
        for known in (beyond + others.map { $0...$0 }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if known.lowerBound > position { holes.append(position...known.lowerBound - 1) }
            guard known.upperBound < .max else { return holes }
            position = max(position, known.upperBound + 1)
        }
        return holes
    }
}
