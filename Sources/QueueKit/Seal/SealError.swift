// Owns: what can go wrong with keys and sealed bytes, as values that know their sentence and exit status. Refuses:
// holding any byte of a key, printing, deciding what becomes of the mail.

import COpenSSL
import MailModel

/// A failure of sealing, opening or reading keys.
public struct SealError: StatedFailure, Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// The bytes are not what was sealed, or were sealed with another key.
        case notAuthentic
        /// It was sealed for a key that is not here: the mail is held, not dropped.
        case unknownKey(KeyID)
        /// A key file, a part of a key or a sealed file is not in the form it must have.
        case malformed
        /// Asked for what is not allowed: an empty passphrase, too few iterations, a seal used up.
        case refused
        /// libcrypto or zlib could not do its work.
        case library
    }

    public let kind: Kind
    /// What was tried on what: `open the seed in spool.key`.
    public let operation: String
    public let explanation: String

    public init(_ kind: Kind, _ operation: String, _ explanation: String) {
        (self.kind, self.operation, self.explanation) = (kind, operation, explanation)
    }

    /// sysexits(3): 65 for data, 75 for what may pass, 78 for what the operator must mend.
    public var exitStatus: Int32 {
        switch kind {
        case .notAuthentic: 65
        case .unknownKey, .malformed, .refused: 78
        case .library: 75
        }
    }

    public var statement: [String] { ["cannot \(operation): \(explanation)"] }
}

extension SealError: CustomStringConvertible {
    public var description: String { statement.joined() }
}

extension SealError {
    /// libcrypto's own words about a failed call, taken off its error stack, which is then empty.
    static func library(_ operation: String) -> SealError {
        let reasons = drainErrors()
        let text = reasons.isEmpty ? "libcrypto gave no reason" : reasons.joined(separator: "; ")
        return SealError(.library, operation, "\(text). Check the installation of OpenSSL and the free memory.")
    }

    /// At most the newest stack's sixteen entries (libcrypto keeps no more).
    @discardableResult
    static func drainErrors() -> [String] {
        var reasons: [String] = []
        while reasons.count < 16 {
            let code = ERR_get_error()
            guard code != 0 else { break }
            var text = [CChar](repeating: 0, count: 256)
            ERR_error_string_n(code, &text, text.count)
            reasons.append(String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        return reasons
    }

    static func notAuthentic(_ operation: String) -> SealError {
        SealError(.notAuthentic, operation, "it is not what was sealed, or it was sealed with another key.")
    }
}
