// Owns: the way from an accepted transaction into the spool. Refuses: who is accepted (RecipientJudge), how it is stored
// (QueueKit).

import CommandKit
import Glibc
import Logging
import MailModel
import QueueKit
import SMTPProtocol
import Synchronization
import Transport

/// One per process: all its sessions share the syncs of one intake.
final class MailStore: Sendable {
    private let intake: Intake
    private let clock = SystemClock()
    private let logger: Logger
    /// The sentence of the failure that lasts; nil while all is well.
    private let trouble = Mutex<String?>(nil)

    /// - Throws: the sentence of QueueError with its status, 78 when there is no spool.
    init(
        _ setting: Setting, _ protection: Protection = .none, limits: IntakeLimits = IntakeLimits(),
        syscalls: any Syscalls = LibC(), logger: Logger
    ) throws(CommandFailure) {
        self.logger = logger
        do throws(QueueError) {
            let layout = SpoolLayout(root: setting.configuration.queueDirectory)
            intake = try Intake(layout, place: .incoming, protection: protection, limits: limits, syscalls: syscalls)
        } catch {
            throw CommandFailure(ExitStatus(rawValue: error.exitStatus) ?? .temporaryFailure, error.description)
        }
    }

    /// Makes all that waits durable and lets go of the spool.
    func close() { intake.close() }

    func begin(_ envelope: Envelope, ready: @escaping @Sendable () -> Void) -> IncomingMessage {
        intake.begin(envelope, ready: ready)
    }

    func newID() -> QueueID { QueueID.make(clock) }
    func now() -> Timestamp { clock.now() }

    /// A failure lasts for many messages, and one line tells it: it is logged when it begins or changes.
    func reply(for error: QueueError) -> Reply {
        let sentence = error.description
        let isNew = trouble.withLock { trouble in
            defer { trouble = sentence }
            return trouble != sentence
        }
        if isNew { logger.error("\(sentence) Senders are told to try again later.") }
        return StorageReply.of(error)
    }

    func succeeded() {
        let wasFailing = trouble.withLock { trouble in
            defer { if trouble != nil { trouble = nil } }
            return trouble != nil
        }
        if wasFailing { logger.notice("the spool takes mail again") }
    }
}

/// What a sender is told when its message can't be stored. Paths and causes are for the log.
enum StorageReply {
    static func of(_ error: QueueError) -> Reply {
        let status = error.statusCode
        guard status.isTemporary else {
            return Reply(552, status, "This message cannot be stored here")
        }
        // RFC 5321 §4.2.2: 452 is for a lack of room, 451 for any other local trouble.
        guard status == EnhancedStatusCode(4, 3, 1) else {
            return Reply(451, status, "The message could not be stored, try again later")
        }
        return Reply(452, status, "There is no room for the message now, try again later")
    }
}
