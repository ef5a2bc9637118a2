// Owns: lending the storage of arrays to C with typed throws. Refuses: keeping any pointer.

extension Array where Element == UInt8 {
    /// Lends the bytes for reading. The pointer must not leave the closure.
    func lending<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withUnsafeBufferPointer { (buffer) throws(Failure) in try body(UnsafeRawBufferPointer(buffer)) }
    }

    /// Lends the bytes for writing. The pointer must not leave the closure.
    mutating func lendingMutable<Result, Failure: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withUnsafeMutableBufferPointer { (buffer) throws(Failure) in
            try body(UnsafeMutableRawBufferPointer(buffer))
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The bytes before and from `index`.
    func split(at index: Int) -> (UnsafeRawBufferPointer, UnsafeRawBufferPointer) {
        (UnsafeRawBufferPointer(rebasing: self[..<index]), UnsafeRawBufferPointer(rebasing: self[index...]))
    }
}

extension UnsafeMutableRawBufferPointer {
    /// The bytes before and from `index`.
    func split(at index: Int) -> (UnsafeMutableRawBufferPointer, UnsafeMutableRawBufferPointer) {
        (
            UnsafeMutableRawBufferPointer(rebasing: self[..<index]),
            UnsafeMutableRawBufferPointer(rebasing: self[index...])
        )
    }
}
