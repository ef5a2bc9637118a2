// Owns: reading an argument list the way sendmail(8)'s callers write it. Pure: no environment, no files. Refuses:
// judging addresses (Addresses), options after recipients.

import CommandKit
import MailModel

/// What the caller asked for.
struct SendmailArguments: Hashable {
    enum Task: Hashable {
        case submit
        /// `mailq`, `-bp`.
        case list
        /// `-q`; what limits it, as arguments of `mail-queue flush`.
        case flush([String])
        /// `newaliases`, `-bi`, `-I`.
        case rebuildAliases
        case help, version
    }

    var task = Task.submit
    /// `-t`.
    var takesRecipients = false
    /// `-i`: a line that is only a dot is content.
    var ignoresDots = false
    var printsID = false
    var isHeld = false
    /// The text of `-f`; `""` and `<>` mean the null reverse-path. The last one counts.
    var reversePath: String?
    var fullName: String?
    /// `-C`: the path of pouch.conf.
    var configuration: String?
    var notify: NotifyConditions?
    var returnContent: ReturnContent?
    /// Decoded.
    var envelopeID: String?
    var body: BodyKind?
    var recipients: [String] = []

    /// - Parameters:
    ///   - words: the arguments without the program's name.
    ///   - program: the name it was called by, without folders.
    /// - Throws: what can't be understood, as status 64; what is not built, as 69.
    static func parse(_ words: [String], calledAs program: String) throws(CommandFailure) -> SendmailArguments {
        var reader = Reader(words: words[...])
        switch program {
        case "mailq": reader.result.task = .list
        case "newaliases": reader.result.task = .rebuildAliases
        default: break
        }
        try reader.read()
        return reader.result
    }

    private struct Reader {
        var words: ArraySlice<String>
        var result = SendmailArguments()

        mutating func read() throws(CommandFailure) {
            while let word = words.first, word.hasPrefix("-"), word != "-" {
                words.removeFirst()
                if word == "--" { return try takeRecipients(mayBeginWithHyphen: true) }
                if word.hasPrefix("--") { try takeLong(word) } else { try takeCluster(word) }
                if result.task == .help || result.task == .version { return }
            }
            try takeRecipients(mayBeginWithHyphen: false)
        }

        private mutating func takeRecipients(mayBeginWithHyphen: Bool) throws(CommandFailure) {
            if !mayBeginWithHyphen, let word = words.first(where: { $0.hasPrefix("-") }) {
                throw CommandFailure(
                    .usage,
                    "\"\(word.prefix(80))\" stands behind a recipient and would count as one too. Put options first, "
                        + "and -- before recipients that begin with a hyphen.")
            }
            if result.task != .submit, let word = words.first {
                throw CommandFailure(
                    .usage, "\"\(word.prefix(80))\": a recipient has no place where no message is submitted.")
            }
            result.recipients = Array(words)
        }

        private mutating func takeLong(_ word: String) throws(CommandFailure) {
            switch word {
            case "--print-id": result.printsID = true
            case "--hold": result.isHeld = true
            case "--help": result.task = .help
            case "--version": result.task = .version
            default: throw SendmailArguments.unknown(word)
            }
        }

        /// `-oi`, `-fADDR`, `-ti`, `-f ADDR`.
        private mutating func takeCluster(_ word: String) throws(CommandFailure) {
            var rest = word.unicodeScalars.dropFirst()
            while let letter = rest.popFirst() {
                guard let option = SendmailOption(rawValue: String(letter)) else {
                    throw SendmailArguments.unknown("-\(letter)", in: word)
                }
                switch option.value {
                case .none: try result.apply(option, "")
                case .joined: return try result.apply(option, joined(option, String(rest)))
                case .required: return try result.apply(option, try value(of: option, String(rest)))
                }
            }
        }

        private mutating func value(of option: SendmailOption, _ rest: String) throws(CommandFailure) -> String {
            if !rest.isEmpty { return rest }
            guard let next = words.popFirst() else {
                throw CommandFailure(.usage, "option -\(option.rawValue) needs a value behind it. See --help.")
            }
            return next
        }

        /// `-qI ID` is written apart, too.
        private mutating func joined(_ option: SendmailOption, _ rest: String) -> String {
            guard option == .queueRun, ["I", "R", "S"].contains(rest) else { return rest }
            return rest + (words.popFirst() ?? "")
        }
    }

    private static func unknown(_ option: String, in word: String? = nil) -> CommandFailure {
        let place = word.flatMap { $0 == option ? nil : " in \"\($0.prefix(80))\"" } ?? ""
        return CommandFailure(.usage, "unknown option \(option.prefix(80))\(place). See mail-enqueue --help.")
    }
}
