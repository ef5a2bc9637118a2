// Owns: one thing that a check found, as a value. Refuses: how it looks on a terminal.

import MailModel

/// What `mail-queue check` tells of one place of the spool.
public struct CheckFinding: Hashable, Sendable {
    public enum Level: String, Sendable {
        /// Mail is or may be lost or sent twice, or something lies there that is none of ours.
        case fault
        /// Worth knowing; the queue copes with it.
        case note
        /// Could not be looked at.
        case unchecked
    }

    /// What it is about; scripts depend on the words.
    public enum Kind: String, Sendable {
        case layout, segment, message, journal, drop, spare, leftover, stranger, quarantine, ledger, sealed
    }

    public var level: Level
    public var kind: Kind
    public var path: String
    /// One sentence or two, without the path.
    public var sentence: String
    /// The message it is about, when that is known.
    public var message: QueueID?

    public init(_ level: Level, _ kind: Kind, _ path: String, _ sentence: String, message: QueueID? = nil) {
        (self.level, self.kind, self.path, self.sentence) = (level, kind, path, sentence)
        self.message = message
    }
}

/// What a check looked at.
public struct CheckCounts: Hashable, Sendable {
    public var segments = 0
    public var journals = 0
    /// Messages of segments that are not final, and their octets of content.
    public var messages = 0
    public var octets: Int64 = 0
    public var drops = 0
    public var spares = 0
    public var quarantined = 0
    /// Files that only a key opens, and none was given.
    public var sealed = 0
}

public struct CheckReport: Sendable {
    public internal(set) var findings: [CheckFinding] = []
    public internal(set) var counts = CheckCounts()

    public var hasFaults: Bool { findings.contains { $0.level == .fault } }
}
