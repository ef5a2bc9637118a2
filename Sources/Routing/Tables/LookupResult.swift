// Owns: how a lookup can end. Refuses: looking up.

/// The end of a lookup. "I could not ask" is never "there is none": mail waits for the one and fails for the other.
public enum LookupResult<Value> {
    case found(Value)
    case notFound
    /// What failed, on what and why, as a sentence without its end.
    case temporaryFailure(String)

    public func map<Other>(_ transform: (Value) -> Other) -> LookupResult<Other> {
        switch self {
        case .found(let value): .found(transform(value))
        case .notFound: .notFound
        case .temporaryFailure(let why): .temporaryFailure(why)
        }
    }
}

extension LookupResult: Sendable where Value: Sendable {}
extension LookupResult: Equatable where Value: Equatable {}
extension LookupResult: Hashable where Value: Hashable {}
