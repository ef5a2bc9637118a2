// Owns: what the sender of a message is told when a delivery fails: the one table from the system's errors to replies.
// Refuses: the log; the runner writes the reply there too.

import Glibc
import MailModel
import CommandKit
import SMTPProtocol
import SystemPackage

/// A refusal or a delay of one recipient, ready to be said.
struct DeliveryFailure: Error, Hashable {
    let reply: Reply

    /// - Parameter text: one sentence; it is read by the sender of the mail, in a DSN.
    init(_ code: Int, _ status: EnhancedStatusCode, _ text: String) {
        reply = Reply(code, status, DeliveryAnswer.plain(text))
    }

    /// For a system call that failed on something of the user's.
    /// - Parameter operation: `write to /home/u/Maildir/tmp`.
    init(_ operation: String, _ cause: Errno) {
        let (code, status, cure) = Self.meaning(of: cause)
        let text = "cannot \(operation): \(cause.phrase)." + (cure.isEmpty ? "" : " \(cure)")
        self.init(code, status, text)
    }

    /// Everything a machine or its user can mend is temporary: mail waits for it.
    private static func meaning(of cause: Errno) -> (code: Int, status: EnhancedStatusCode, cure: String) {
        switch cause {
        case .noSpace, .fileTooLarge:
            (452, EnhancedStatusCode(4, 3, 1), "The machine's administrator must make room")
        case .diskQuotaExceeded:
            (452, EnhancedStatusCode(4, 2, 2), "The mailbox is full, its owner must make room")
        case .permissionDenied, .notPermitted:
            (451, EnhancedStatusCode(4, 2, 0), "The owner of the mailbox must be allowed to write there")
        case .readOnlyFileSystem:
            (451, EnhancedStatusCode(4, 2, 0), "The machine's administrator must make it writable")
        case .tooManySymbolicLinkLevels, .notDirectory:
            (451, EnhancedStatusCode(4, 2, 0), "It must be a directory and no symbolic link")
        case .noSuchFileOrDirectory: (451, EnhancedStatusCode(4, 2, 0), "It must exist")
        case .fileNameTooLong: (451, EnhancedStatusCode(4, 2, 0), "The action must name a shorter path")
        default: (451, EnhancedStatusCode(4, 3, 0), "")
        }
    }
}

extension Errno {
    /// errno as the last call left it; read it before any other call.
    static var lastCall: Errno { Errno(rawValue: errno) }
}
