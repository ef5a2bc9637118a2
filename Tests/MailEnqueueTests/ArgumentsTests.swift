import CommandKit
import Glibc
import MailModel
import Testing

@testable import mail_enqueue

@Suite struct ArgumentsTests {
    typealias Arguments = SendmailArguments

    struct Row: Sendable, CustomTestStringConvertible {
        var reason: String
        var words: [String]
        var program = "sendmail"
        var expected = Arguments()
        var testDescription: String { reason }

        init(_ reason: String, _ words: [String], program: String = "sendmail", _ change: (inout Arguments) -> Void) {
            (self.reason, self.words, self.program) = (reason, words, program)
            change(&expected)
        }
    }

    @Test(arguments: [
        Row("nothing", []) { _ in },
        Row("a recipient", ["root"]) { $0.recipients = ["root"] },
        Row("Debian cron", ["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"]) {
            ($0.ignoresDots, $0.fullName, $0.body, $0.recipients) = (true, "CronDaemon", .eightBitMIME, ["root"])
        },
        Row("cronie", ["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"]) {
            ($0.ignoresDots, $0.fullName, $0.takesRecipients, $0.reversePath) = (true, "CronDaemon", true, "root")
        },
        Row("at", ["-F", "Atrun Service", "-odi", "-oem", "joe"]) {
            ($0.fullName, $0.recipients) = ("Atrun Service", ["joe"])
        },
        Row("mutt", ["-oem", "-oi", "-f", "a@x.example", "-N", "success,delay", "-R", "hdrs", "--", "b@x.example"]) {
            ($0.ignoresDots, $0.reversePath, $0.recipients) = (true, "a@x.example", ["b@x.example"])
            ($0.notify, $0.returnContent) = ([.success, .delay], .headers)
        },
        Row("git send-email", ["-f", "a@x.example", "-i", "b@x.example", "c@x.example"]) {
            ($0.ignoresDots, $0.reversePath, $0.recipients) = (true, "a@x.example", ["b@x.example", "c@x.example"])
        },
        Row("PHP", ["-t", "-i", "-fa@x.example"]) {
            ($0.takesRecipients, $0.ignoresDots, $0.reversePath) = (true, true, "a@x.example")
        },
        Row("cluster", ["-ti"]) { ($0.takesRecipients, $0.ignoresDots) = (true, true) },
        Row("cluster with value", ["-tifa@x.example"]) {
            ($0.takesRecipients, $0.ignoresDots, $0.reversePath) = (true, true, "a@x.example")
        },
        Row("cluster with value apart", ["-tf", "a@x.example"]) {
            ($0.takesRecipients, $0.reversePath) = (true, "a@x.example")
        },
        Row("null reverse-path", ["-f", "", "x"]) { ($0.reversePath, $0.recipients) = ("", ["x"]) },
        Row("null reverse-path joined", ["-f<>", "x"]) { ($0.reversePath, $0.recipients) = ("<>", ["x"]) },
        Row("a value may begin with a hyphen", ["-F", "-t"]) { $0.fullName = "-t" },
        Row("-r is -f, the last counts", ["-fa", "-r", "b"]) { $0.reversePath = "b" },
        Row("hyphen after --", ["--", "-x@y.example"]) { $0.recipients = ["-x@y.example"] },
        Row("-- alone", ["-t", "--"]) { $0.takesRecipients = true },
        Row("empty recipient is kept for judging", [""]) { $0.recipients = [""] },
        Row("-oi apart", ["-o", "i"]) { $0.ignoresDots = true },
        Row("-oi with a value", ["-oiTrue"]) { $0.ignoresDots = true },
        Row("-oi turned off", ["-i", "-oiFalse"]) { $0.ignoresDots = false },
        Row("IgnoreDots", ["-OIgnoreDots=true"]) { $0.ignoresDots = true },
        Row("IgnoreDots apart, off", ["-i", "-O", "ignoredots=no"]) { $0.ignoresDots = false },
        Row("our own", ["--print-id", "--hold", "x"]) {
            ($0.printsID, $0.isHeld, $0.recipients) = (true, true, ["x"])
        },
        Row("-C", ["-C", "/x/pouch.conf"]) { $0.configuration = "/x/pouch.conf" },
        Row("DSN never", ["-Nnever", "-Rfull"]) { ($0.notify, $0.returnContent) = ([], .full) },
        Row("DSN all in any case", ["-N", "SUCCESS,failure,Delay"]) { $0.notify = [.success, .failure, .delay] },
        Row("ENVID", ["-V", "a+2Bb+20c"]) { $0.envelopeID = "a+b c" },
        Row("-B 7BIT", ["-b", "m", "-B", "7bit"]) { $0.body = .sevenBit },
        Row(
            "all that is ignored",
            [
                "-Ac", "-Am", "-A", "c", "-bm", "-c", "-D", "/x", "-d0.1", "-d", "-E", "-Ex", "-em", "-e", "q", "-G",
                "-h", "3", "-J", "-Jx", "-Ltag", "-L", "tag", "-m", "-n", "-OTimeout.x=1", "-om", "-o7", "-o8",
                "-oA/etc/aliases", "-oem", "-oep", "-oeq", "-oew", "-odb", "-odi", "-odq", "-ox", "-ov",
                "-pSMTP:host", "-p", "SMTP", "-s", "-U", "-v", "-X", "/tmp/log", "-x", "root",
            ]
        ) { $0.recipients = ["root"] },
        Row("-bp", ["-bp"]) { $0.task = .list },
        Row("mailq", ["-v"], program: "mailq") { $0.task = .list },
        Row("newaliases", [], program: "newaliases") { $0.task = .rebuildAliases },
        Row("-bi", ["-bi"]) { $0.task = .rebuildAliases },
        Row("-I", ["-I"]) { $0.task = .rebuildAliases },
        Row("send-mail", ["x"], program: "send-mail") { $0.recipients = ["x"] },
        Row("-q", ["-q"]) { $0.task = .flush([]) },
        Row("-qTIME", ["-q30m"]) { $0.task = .flush([]) },
        Row("-qI", ["-qIabc"]) { $0.task = .flush(["abc"]) },
        Row("-qI apart", ["-qI", "abc"]) { $0.task = .flush(["abc"]) },
        Row("-qR", ["-qR@x.example"]) { $0.task = .flush(["--domain=x.example"]) },
        Row("-qS", ["-qS", "joe@x.example"]) { $0.task = .flush(["--from=joe@x.example"]) },
        Row("help wins over what follows", ["--help", "-Z"]) { $0.task = .help },
        Row("version", ["--version"]) { $0.task = .version },
    ]) func reads(_ row: Row) throws {
        #expect(try Arguments.parse(row.words, calledAs: row.program) == row.expected)
    }

    struct Wrong: Sendable, CustomTestStringConvertible {
        var words: [String]
        var part: String
        var status = ExitStatus.usage
        var testDescription: String { words.joined(separator: " ") }
    }

    @Test(arguments: [
        Wrong(words: ["-Z"], part: "unknown option -Z. "),
        Wrong(words: ["-tZ"], part: "unknown option -Z in \"-tZ\""),
        Wrong(words: ["-é"], part: "unknown option -é. "),
        Wrong(words: ["--recipient", "x"], part: "unknown option --recipient. "),
        Wrong(words: ["--help=x"], part: "unknown option --help=x. "),
        Wrong(words: ["-f"], part: "-f needs a value"),
        Wrong(words: ["-tf"], part: "-f needs a value"),
        Wrong(words: ["-C", ""], part: "-C has an empty value"),
        Wrong(words: ["x", "-t"], part: "\"-t\" stands behind a recipient"),
        Wrong(words: ["x", "--", "y"], part: "\"--\" stands behind a recipient"),
        Wrong(words: ["-"], part: "\"-\" stands behind a recipient"),
        Wrong(words: ["-B", "BINARYMIME"], part: "unknown body type -B BINARYMIME"),
        Wrong(words: ["-N", "never,failure"], part: "-N never,failure is not understood"),
        Wrong(words: ["-N", "failure,"], part: "-N failure, is not understood"),
        Wrong(words: ["-R", "none"], part: "unknown value -R none"),
        Wrong(words: ["-V", "a b"], part: "-V a b is no envelope ID"),
        Wrong(words: ["-V", "a+"], part: "is no envelope ID"),
        Wrong(words: ["-V", "a+0a"], part: "is no envelope ID"),
        Wrong(words: ["-V", "a+0A"], part: "is no envelope ID"),
        Wrong(words: ["-V", "a++1"], part: "is no envelope ID"),
        Wrong(words: ["-V", String(repeating: "a", count: 101)], part: "is no envelope ID"),
        Wrong(words: ["-bs"], part: "is not built yet", status: .unavailable),
        Wrong(words: ["-bd"], part: "no daemon"),
        Wrong(words: ["-bt"], part: "mail-expand ADDRESS"),
        Wrong(words: ["-bv", "root"], part: "mail-expand ADDRESS"),
        Wrong(words: ["-bz"], part: "unknown mode -bz"),
        Wrong(words: ["-qX"], part: "-qX is not understood"),
        Wrong(words: ["-qI"], part: "-qI is not understood"),
        Wrong(words: ["-qI", "--all"], part: "is not understood"),
        Wrong(words: ["-bp", "root"], part: "\"root\": a recipient has no place"),
    ]) func refuses(_ row: Wrong) {
        let error = #expect(throws: CommandFailure.self) { try Arguments.parse(row.words, calledAs: "sendmail") }
        #expect(error?.status == row.status)
        #expect(error?.sentence.contains(row.part) == true, "\(error?.sentence ?? "")")
    }

    @Test(arguments: [
        (["-bp"], ["mail-queue", "list"]), (["-q"], ["mail-queue", "flush"]),
        (
            ["-C", "/x/pouch.conf", "-qRy.example"],
            ["mail-queue", "flush", "-C", "/x/pouch.conf", "--domain=y.example"]
        ),
        (["-bi"], ["mail-expand", "build"]), (["x"], []), (["--help"], []),
    ]) func handsOver(_ words: [String], _ expected: [String]) throws {
        let other = OtherProgram(for: try Arguments.parse(words, calledAs: "sendmail"))
        #expect(other.map { [$0.name] + $0.words } ?? [] == expected)
    }

    @Test func manualNamesEveryOption() throws {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let file = open("/\(folder)/man/mail-enqueue.1", O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(file, &bytes, bytes.count)
        let manual = String(decoding: bytes[..<max(0, count)], as: UTF8.self)
        let items = manual.split(separator: "\n").filter { $0.hasPrefix(".It Fl ") }.joined(separator: " ") + " "
        for option in SendmailOption.allCases {
            #expect(items.contains("Fl \(option.rawValue) "), "-\(option.rawValue) is missing in the manual")
        }
    }

    /// Whatever words come, there is an answer and no trap.
    @Test func survivesAnything() {
        let pieces = ["-", "--", "f", "o", "q", "I", "t", "i", "\u{301}", "", " ", "<>", "a@b", "é", "=", "C", "N"]
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<5000 {
            let words = (0..<Int.random(in: 0...4, using: &generator)).map { _ in
                (0..<3).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            }
            _ = Result { try Arguments.parse(words, calledAs: "sendmail") }
        }
    }
}
