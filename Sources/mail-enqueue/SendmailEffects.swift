// Owns: what each option of sendmail(8) does to what was asked for. Refuses: finding options and values in the
// arguments (SendmailArguments).

import CommandKit
import MailModel

extension SendmailArguments {
    mutating func apply(_ option: SendmailOption, _ value: String) throws(CommandFailure) {
        switch option {
        case .bodyKind: body = try Self.bodyKind(value)
        case .mode: try setMode(value)
        case .configuration:
            guard !value.isEmpty else { throw CommandFailure(.usage, "-C has an empty value. Name a file.") }
            configuration = value
        case .fullName: fullName = value
        case .reversePath, .reversePathToo: reversePath = value
        case .rebuildAliases: task = .rebuildAliases
        case .ignoreDots: ignoresDots = true
        case .notify: notify = try Self.conditions(value)
        case .longSetting: if value.lowercased().hasPrefix("ignoredots") { setIgnoreDots(value.dropFirst(10)) }
        case .setting: if value.hasPrefix("i") { setIgnoreDots(value.dropFirst()) }
        case .queueRun: task = .flush(try Self.flushLimits(value))
        case .returnContent: returnContent = try Self.returnContent(value)
        case .recipientsFromHeader: takesRecipients = true
        case .envelopeID: envelopeID = try Self.envelopeID(value)
        case .submissionSettings, .expensiveMailers, .debugLog, .debug, .extraErrors, .errorMode, .gatewaySubmission,
            .hopCount, .extraJob, .logTag, .meToo, .noAliases, .protocolName, .stripFrom, .initialSubmission,
            .verbose, .trafficLog, .oldExtra:
            break
        }
    }

    /// sendmail's settings are true with no value, and false when it begins with f or n.
    private mutating func setIgnoreDots(_ value: Substring) {
        let text = value.hasPrefix("=") ? value.dropFirst() : value
        ignoresDots = !text.lowercased().hasPrefix("f") && !text.lowercased().hasPrefix("n")
    }

    private mutating func setMode(_ mode: String) throws(CommandFailure) {
        switch mode {
        case "m": task = .submit
        case "p": task = .list
        case "i": task = .rebuildAliases
        case "s":
            throw CommandFailure(
                .unavailable, "-bs, SMTP on standard input, is not built yet. Give the message on standard input.")
        case "d", "D":
            throw CommandFailure(.usage, "-b\(mode): there is no daemon in this program. Start mail-supervise.")
        case "t", "v":
            throw CommandFailure(
                .usage, "-b\(mode): addresses are tested with another program. Call mail-expand ADDRESS.")
        default:
            throw CommandFailure(.usage, "unknown mode -b\(mode.prefix(80)). See mail-enqueue --help.")
        }
    }

    /// `-q` and `-qTIME` try everything now, once; the runner keeps its own rhythm. `I`, `R` and `S` pick messages.
    private static func flushLimits(_ value: String) throws(CommandFailure) -> [String] {
        let pattern = String(value.dropFirst())
        switch value.first {
        case nil, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9": return []
        case "I" where !pattern.isEmpty && !pattern.hasPrefix("-"): return [pattern]
        case "R" where !pattern.isEmpty: return ["--domain=\(pattern.drop { $0 == "@" })"]
        case "S" where !pattern.isEmpty: return ["--from=\(pattern)"]
        default:
            throw CommandFailure(
                .usage, "-q\(value.prefix(80)) is not understood. Give -q, -qI ID, -qR DOMAIN or -qS SENDER.")
        }
    }

    private static func bodyKind(_ value: String) throws(CommandFailure) -> BodyKind {
        switch value.uppercased() {
        case "7BIT": return .sevenBit
        case "8BITMIME": return .eightBitMIME
        default: throw CommandFailure(.usage, "unknown body type -B \(value.prefix(80)). Give 7BIT or 8BITMIME.")
        }
    }

    /// RFC 3461 §4.1: NEVER stands alone.
    private static func conditions(_ value: String) throws(CommandFailure) -> NotifyConditions {
        let words = value.lowercased().split(separator: ",", omittingEmptySubsequences: false)
        if words == ["never"] { return [] }
        var conditions: NotifyConditions = []
        for word in words {
            switch word {
            case "success": conditions.insert(.success)
            case "failure": conditions.insert(.failure)
            case "delay": conditions.insert(.delay)
            default:
                throw CommandFailure(
                    .usage, "-N \(value.prefix(80)) is not understood. Give never, or some of success,failure,delay.")
            }
        }
        return conditions
    }

    private static func returnContent(_ value: String) throws(CommandFailure) -> ReturnContent {
        switch value.lowercased() {
        case "full": return .full
        case "hdrs": return .headers
        default: throw CommandFailure(.usage, "unknown value -R \(value.prefix(80)). Give full or hdrs.")
        }
    }

    /// RFC 3461 §4.4: at most 100 octets of xtext, which stand for printable ASCII.
    private static func envelopeID(_ value: String) throws(CommandFailure) -> String {
        guard (1...100).contains(value.utf8.count), let text = XText.decode(value) else {
            throw CommandFailure(
                .usage,
                "-V \(value.prefix(80)) is no envelope ID. Give 1 to 100 printable characters without = and blank, "
                    + "+ written as +2B (RFC 3461).")
        }
        return text
    }
}

/// RFC 3461 §4: `+` and two hexadecimal digits in upper case stand for an octet; `=` and blanks must be written so.
enum XText {
    static func decode(_ text: String) -> String? {
        var octets: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let octet = rest.popFirst() {
            guard (33...126).contains(octet), octet != UInt8(ascii: "=") else { return nil }
            guard octet == UInt8(ascii: "+") else {
                octets.append(octet)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.allSatisfy({ "0123456789ABCDEF".utf8.contains($0) }),
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16), (32...126).contains(value)
            else { return nil }
            octets.append(value)
            rest = rest.dropFirst(2)
        }
        return String(decoding: octets, as: UTF8.self)
    }
}
