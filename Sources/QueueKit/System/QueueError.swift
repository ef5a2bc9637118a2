// Owns: what can go wrong with the spool, as values that know their sentence, exit status and enhanced status code.
// Refuses: printing, deciding what a program does about it.

import MailModel
import SystemPackage

/// A failure of the spool. Temporary or permanent is part of its kind.
public struct QueueError: StatedFailure, Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        /// A call to the operating system failed.
        case system
        /// Another runner holds the spool.
        case locked
        /// The spool is not there, or not one of ours.
        case missing
        /// The spool was written by a newer Pouch.
        case newerFormat
        /// What was read is not what was written.
        case corrupt
        /// No message has this queue ID, or more than one does.
        case unknownMessage
        /// What was asked can't be stored: too large, not allowed.
        case refused
        /// Sealed for a key that is not here: the mail is held, not dropped.
        case unknownKey(KeyID)
    }

    public let kind: Kind
    /// What was tried on which path: `open /var/spool/pouch/queue`.
    public let operation: String
    public let cause: Errno?
    /// A sentence of its own instead of the usual one.
    public let explanation: String?

    public init(_ kind: Kind, _ operation: String, cause: Errno? = nil, explanation: String? = nil) {
        (self.kind, self.operation, self.cause, self.explanation) = (kind, operation, cause, explanation)
    }

    /// sysexits(3).
    public var exitStatus: Int32 {
        switch kind {
        case .system:
            switch cause {
            case .some(.permissionDenied), .some(.notPermitted): 77
            default: 75
            }
        case .locked: 75
        case .missing, .newerFormat, .unknownKey: 78
        case .corrupt, .refused, .unknownMessage: 65
        }
    }

    public var statement: [String] { [description] }

    /// RFC 3463.
    public var statusCode: EnhancedStatusCode {
        switch kind {
        case .system where cause == .noSpace || cause == .diskQuotaExceeded: EnhancedStatusCode(4, 3, 1)
        case .system, .locked, .missing, .newerFormat, .corrupt, .unknownMessage, .unknownKey:
            EnhancedStatusCode(4, 3, 0)
        case .refused: EnhancedStatusCode(5, 3, 4)
        }
    }
}

extension String {
    /// With a capital at its start, to stand alone.
    var sentence: String { prefix(1).uppercased() + dropFirst() }
}

extension QueueError: CustomStringConvertible {
    /// One sentence or two: what failed, on what, why, what to do.
    public var description: String {
        if let explanation { return "cannot \(operation): \(explanation)" }
        guard let cause else { return "cannot \(operation)." }
        return "cannot \(operation): \(Self.reason(cause))." + (Self.cure(cause).map { " \($0)" } ?? "")
    }

    private static func reason(_ cause: Errno) -> String {
        let text = cause.description
        return text.prefix(1).lowercased() + text.dropFirst()
    }

    private static func cure(_ cause: Errno) -> String? {
        switch cause {
        case .permissionDenied, .notPermitted:
            "Run as the spool's owner or a member of its group, or let `mail-queue init --fix` mend owners and modes."
        case .noSpace, .diskQuotaExceeded: "Make room on its file system; everything goes on by itself then."
        case .readOnlyFileSystem: "Remount the file system for writing."
        case .noSuchFileOrDirectory: "Create the spool with `mail-queue init`."
        case .tooManyOpenFiles: "Raise the limit of open files (ulimit -n)."
        default: nil
        }
    }
}
