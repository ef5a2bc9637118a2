// Owns: what a failure of sealing means for the spool. Refuses: deciding what becomes of the mail.

extension QueueError {
    /// Runs what seals or opens; its failure is one of the spool then, with the same explanation.
    ///
    /// - Parameter operation: what was tried on which path.
    /// - Throws: `.corrupt` for what isn't authentic, `.unknownKey`, `.refused`; `.system` when a library failed.
    static func onSegment<Result: ~Copyable>(
        _ operation: @autoclosure () -> String, _ body: () throws(SealError) -> Result
    ) throws(QueueError) -> Result {
        do throws(SealError) {
            return try body()
        } catch {
            throw QueueError(error, operation())
        }
    }

    init(_ error: SealError, _ operation: String) {
        switch error.kind {
        case .notAuthentic, .malformed: self.init(.corrupt, operation, explanation: error.explanation)
        case .refused: self.init(.refused, operation, explanation: error.explanation)
        case .library: self.init(.system, operation, explanation: error.explanation)
        case .unknownKey(let id):
            self.init(
                .unknownKey(id), operation,
                explanation: "it is sealed for the key \(id), which is not known here. Give that key with `queue "
                    + "encryption previous key`; the mail is held until then.")
        }
    }
}
