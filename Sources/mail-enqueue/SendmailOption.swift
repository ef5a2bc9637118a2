// Owns: the one-letter options of sendmail(8) that are known here, and which of them take a value. Refuses: reading an
// argument list and acting (SendmailArguments). The table in mail-enqueue(1) lists the same letters; a test compares.

enum SendmailOption: String, CaseIterable {
    // Acted on.
    case bodyKind = "B"
    case mode = "b"
    case configuration = "C"
    case fullName = "F"
    case reversePath = "f"
    case rebuildAliases = "I"
    case ignoreDots = "i"
    case notify = "N"
    case longSetting = "O"
    case setting = "o"
    case queueRun = "q"
    case returnContent = "R"
    case reversePathToo = "r"
    case recipientsFromHeader = "t"
    case envelopeID = "V"

    // Taken and without effect: what they tune does not exist here, or is always so.
    case submissionSettings = "A"
    case expensiveMailers = "c"
    case debugLog = "D"
    case debug = "d"
    case extraErrors = "E"
    case errorMode = "e"
    case gatewaySubmission = "G"
    case hopCount = "h"
    case extraJob = "J"
    case logTag = "L"
    case meToo = "m"
    case noAliases = "n"
    case protocolName = "p"
    case stripFrom = "s"
    case initialSubmission = "U"
    case verbose = "v"
    case trafficLog = "X"
    case oldExtra = "x"

    enum Value {
        case none
        /// The rest of the word, or the next word when there is no rest.
        case required
        /// The rest of the word alone, perhaps empty.
        case joined
    }

    var value: Value {
        switch self {
        case .bodyKind, .mode, .configuration, .fullName, .reversePath, .notify, .longSetting, .setting,
            .returnContent, .reversePathToo, .envelopeID, .submissionSettings, .debugLog, .errorMode, .hopCount,
            .logTag, .protocolName, .trafficLog:
            .required
        case .queueRun, .debug, .extraErrors, .extraJob: .joined
        case .rebuildAliases, .ignoreDots, .recipientsFromHeader, .expensiveMailers, .gatewaySubmission, .meToo,
            .noAliases, .stripFrom, .initialSubmission, .verbose, .oldExtra:
            .none
        }
    }
}
