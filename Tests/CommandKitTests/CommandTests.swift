import ArgumentParser
import CommandArguments
import CommandKit
import SystemPackage
import Testing

/// Testing has a type of that name too.
typealias ExitStatus = CommandKit.ExitStatus

struct ExitStatusTests {
    @Test func `numbers are those of sysexits`() {
        #expect(ExitStatus.usage.rawValue == 64)
        #expect(ExitStatus.temporaryFailure.rawValue == 75)
        #expect(ExitStatus.configuration.rawValue == 78)
    }

    @Test(arguments: ExitStatus.allCases)
    func `every status says something of its own`(status: ExitStatus) {
        #expect(ExitStatus.allCases.filter { $0.meaning == status.meaning } == [status])
    }
}

struct DiagnosticTests {
    @Test(arguments: [
        ("plain", "cannot open /a: no such file or directory.", "p: cannot open /a: no such file or directory.\n"),
        ("a line end of a peer adds no line", "said x\r\ny", "p: said x\\x0d\\x0ay\n"),
        ("an escape sequence does not reach the terminal", "\u{1B}[2J", "p: \\x1b[2J\n"),
        ("C1 controls are two bytes of UTF-8", "\u{9B}", "p: \\xc2\\x9b\n"),
        ("the direction of writing stays", "a\u{202E}b", "p: a\\xe2\\x80\\xaeb\n"),
        ("letters of all languages stay", "größe 数", "p: größe 数\n"),
    ])
    func `a sentence is one line`(reason: String, sentence: String, expected: String) {
        #expect(Diagnostic.line(sentence, program: "p") == expected, "\(reason)")
    }

    @Test func `a failed call reads as a sentence`() {
        let failure = CommandFailure(.noPermission, "open /a", .permissionDenied, cure: "Run as root.")
        #expect(failure.sentence == "cannot open /a: permission denied. Run as root.")
    }

    @Test func `bytes that are no text show as bytes`() {
        #expect(EscapedText.plain(bytes: [0x61, 0xFF, 0xC3, 0xA4, 0x0A, 0xC3]) == "a\\xffä\\x0a\\xc3")
    }
}

private struct Sample: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "sample", abstract: "Shows.", version: "1.2")
    @Option(name: .customShort("C")) var file: String?
    @Argument var address: String

    func run() {}
}

struct CommandMainTests {
    private func ending(_ arguments: [String]) -> CommandMain.Ending? {
        do {
            var command = try Sample.parseAsRoot(arguments)
            try command.run()
            return nil
        } catch {
            return CommandMain.ending(for: error, of: Sample.self)
        }
    }

    @Test(arguments: [
        (["a", "--what"], "unknown option '--what'. See sample --help."),
        ([], "missing expected argument '<address>'. See sample --help."),
        (["a", "-C"], "missing value for '-C <C>'. See sample --help."),
        (["a", "b"], "unexpected argument 'b'. See sample --help."),
    ])
    func `wrong usage is 64 and one sentence`(arguments: [String], sentence: String) {
        let ending = ending(arguments)
        #expect(ending?.status == .usage)
        #expect(ending?.output == "")
        #expect(ending?.sentence == sentence)
    }

    @Test func `help and version are results`() {
        #expect(ending(["--version"]) == CommandMain.Ending(.success, output: "1.2\n"))
        let help = ending(["--help"])
        #expect(help?.status == .success)
        #expect(help?.output.contains("USAGE: sample") == true)
        #expect(help?.sentence == "")
    }

    @Test func `what a command throws keeps its status`() {
        let failure = CommandFailure(.noUser, "nobody of that name.")
        #expect(CommandMain.ending(for: failure, of: Sample.self).status == .noUser)
        #expect(CommandMain.ending(for: failure, of: Sample.self).sentence == "nobody of that name.")
        #expect(CommandMain.ending(for: QuietExit(.noUser), of: Sample.self) == CommandMain.Ending(.noUser))
        #expect(CommandMain.ending(for: ExitCode(75), of: Sample.self) == CommandMain.Ending(.temporaryFailure))
        #expect(CommandMain.ending(for: Errno.badAddress, of: Sample.self).status == .software)
    }
}
