// Owns: enhanced status codes of RFC 3463 as values. Refuses: texts; those belong to replies.

/// `class.subject.detail` (RFC 3463 §2): the class is 2, 4 or 5, the other two have one to three digits.
public struct EnhancedStatusCode: Hashable, Sendable, CustomStringConvertible {
    public let statusClass: Int
    public let subject: Int
    public let detail: Int

    /// - Precondition: the numbers lie in the ranges of RFC 3463; codes from outside go through `init?(_:)`.
    public init(_ statusClass: Int, _ subject: Int, _ detail: Int) {
        precondition([2, 4, 5].contains(statusClass) && 0...999 ~= subject && 0...999 ~= detail)
        (self.statusClass, self.subject, self.detail) = (statusClass, subject, detail)
    }

    /// Reads `5.1.1`; nil for anything that RFC 3463 does not allow, leading zeros included.
    public init?(_ text: some StringProtocol) {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        var numbers: [Int] = []
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ (48...57).contains($0) }) else { return nil }
            guard part.count == 1 || part.first != 48 else { return nil }
            numbers.append(part.reduce(0) { $0 * 10 + Int($1) - 48 })
        }
        guard [2, 4, 5].contains(numbers[0]) else { return nil }
        (statusClass, subject, detail) = (numbers[0], numbers[1], numbers[2])
    }

    public var description: String { "\(statusClass).\(subject).\(detail)" }
    public var isPermanent: Bool { statusClass == 5 }
    public var isTemporary: Bool { statusClass == 4 }
}
