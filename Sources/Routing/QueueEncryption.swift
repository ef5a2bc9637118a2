// Owns: what `queue encryption` says, as values. Refuses: getting a passphrase from where it is (KeyKit), keys.

/// Whether the queue is sealed, and where the passphrases come from.
public struct QueueEncryption: Hashable, Sendable {
    /// Fewer make a passphrase cheap to guess, more hold a start up. The same bounds as QueueKit's KeyDerivation.
    public static let iterationsRange = 100_000...10_000_000
    /// With `pbkdf2 each` every message pays.
    public static let stretchingLimit = 1_000_000
    /// spool.key holds eight generations, the one in use among them.
    public static let previousLimit = 7

    /// Where the passphrase of new mail comes from; nil seals nothing any more, and `previous` opens what is left.
    public var key: KeySource?
    /// `previous key`, in the order of the file.
    public var previous: [KeySource] = []
    /// `iterations`, of PBKDF2 between the passphrase and spool.key.
    public var iterations = iterationsRange.lowerBound
    /// `pbkdf2 each`.
    public var stretchesEach = false
    /// `queue ledger`; absolute.
    public var ledger: String?

    public init(key: KeySource? = nil) { self.key = key }

    /// All sources, the one in use first.
    public var sources: [KeySource] { [key].compactMap(\.self) + previous }
}

/// Where a passphrase comes from.
public enum KeySource: Hashable, Sendable {
    /// It stands in the configuration.
    case literal(HiddenText)
    /// An absolute path.
    case file(String)
    /// The name of a file in `$CREDENTIALS_DIRECTORY`; one part of a path.
    case credential(String)
    /// For `/bin/sh -c`; shown nowhere, as it may hold what it must not.
    case command(HiddenText)
    case standardInput
    /// `queue encryption` alone: somebody types it at the start.
    case terminal

    /// Whether a passphrase can be had again without a person: not what was typed or came in by a pipe.
    public var isReadableAgain: Bool {
        switch self {
        case .literal, .file, .credential, .command: true
        case .standardInput, .terminal: false
        }
    }
}

/// Text that no message, log, dump or debugger's summary may show.
public struct HiddenText: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// For whoever needs it, by name.
    public let revealed: String

    public init(_ text: String) { revealed = text }

    public var description: String { "(hidden)" }
    public var debugDescription: String { "(hidden)" }
    public var customMirror: Mirror { Mirror(self, children: [:]) }
}

/// A place of a configuration where a passphrase stands.
public struct LiteralKeyPlace: Hashable, Sendable {
    public var file: String
    /// The lines of the statement, or of the macro that it comes from.
    public var lines: ClosedRange<Int>
    /// What can stand there instead, with the same meaning to a program that has its keys already.
    var substitute: String
}
