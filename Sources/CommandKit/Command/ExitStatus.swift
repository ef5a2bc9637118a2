// Owns: the one table of exit statuses. Refuses: deciding which one an error deserves.

/// The statuses of sysexits(3) that Pouch's programs end with. Scripts depend on the numbers.
public enum ExitStatus: Int32, Hashable, Sendable, CaseIterable {
    case success = 0
    /// `mail-queue health`: something needs a look. No sysexits name.
    case warning = 1
    /// `mail-queue health`: something is broken. No sysexits name.
    case critical = 2
    case usage = 64
    case dataError = 65
    case noInput = 66
    case noUser = 67
    case noHost = 68
    case unavailable = 69
    case software = 70
    case osError = 71
    case osFile = 72
    case cannotCreate = 73
    case ioError = 74
    case temporaryFailure = 75
    case protocolError = 76
    case noPermission = 77
    case configuration = 78

    /// What the status says to a person; the man pages carry the same words.
    public var meaning: String {
        switch self {
        case .success: "done"
        case .warning: "something needs a look"
        case .critical: "something is broken"
        case .usage: "the command was used wrongly"
        case .dataError: "the input is malformed"
        case .noInput: "an input file is missing or unreadable"
        case .noUser: "the user is unknown"
        case .noHost: "the host is unknown"
        case .unavailable: "a service is unavailable"
        case .software: "an internal fault; please report it"
        case .osError: "the operating system refused something, such as a new process"
        case .osFile: "a system file is missing or unreadable"
        case .cannotCreate: "an output file cannot be created"
        case .ioError: "reading or writing failed"
        case .temporaryFailure: "it did not work now; try again later"
        case .protocolError: "the other side did not keep to the protocol"
        case .noPermission: "permission denied"
        case .configuration: "the configuration is wrong"
        }
    }
}
