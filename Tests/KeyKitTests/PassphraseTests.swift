import Glibc
import Testing

@testable import CommandKit
@testable import KeyKit
@testable import QueueKit
@testable import Routing

@Suite struct PassphraseTests {
    private let folder: Folder
    private let long = "correct horse battery staple"

    init() throws { folder = try Folder() }

    private func read(_ source: KeySource, input: String? = nil) throws -> String {
        let end = input.map(pipe)
        defer { if let end { close(end) } }
        return try PassphraseReader(standardInput: end, credentials: folder.path, warn: { _ in }).read(source).text
    }

    @Test(
        arguments: [
            ("as it is", "a pass"), ("one line end", "a pass\n"), ("of another system", "a pass\r\n"),
        ])
    func everySourceGivesTheSame(what: String, text: String) throws {
        let path = folder.file("key", text)
        #expect(try read(.file(path)) == "a pass")
        #expect(try read(.credential("key")) == "a pass")
        #expect(try read(.command(HiddenText("cat \(path); echo noise >&2"))) == "a pass")
        #expect(try read(.standardInput, input: text) == "a pass")
        #expect(try read(.literal(HiddenText("a pass"))) == "a pass")
    }

    @Test func whatIsInsideStays() throws {
        #expect(try read(.file(folder.file("key", "two\nlines\n\n"))) == "two\nlines\n")
        #expect(try read(.file(folder.file("key", " \0 "))) == " \0 ")
        #expect(try read(.file(folder.file("key", String(repeating: "x", count: 1024)))).utf8.count == 1024)
    }

    @Test func filesThatAreRefused() throws {
        let path = folder.path
        #expect(refusal { try read(.file("\(path)/none")) }.contains("\(path)/none: no such file. Check the path."))
        #expect(refusal { try read(.file(path)) }.contains("it is no regular file."))
        #expect(refusal { try read(.file("/dev/zero")) }.contains("it is no regular file."))
        mkfifo("\(path)/fifo", 0o600)
        #expect(refusal { try read(.file("\(path)/fifo")) }.contains("it is no regular file."))
        for mode: UInt32 in [0o604, 0o602, 0o644] {
            let text = refusal { try read(.file(folder.file("open", "secret", mode: mode))) }
            #expect(text.contains("Forbid it with \"chmod o-rwx \(path)/open\"."), "\(text)")
        }
        #expect(refusal { try read(.file(folder.file("e", "\n"))) }.contains("it is empty."))
        let large = folder.file("l", String(repeating: "x", count: 1025))
        #expect(refusal { try read(.file(large)) }.contains("it is longer than 1024 octets."))
        #expect(refusal { try read(.credential("none")) }.contains("the credential none: no such file."))
    }

    @Test func withoutCredentialsTheirVariableIsNamed() {
        for folder in [nil, "relative"] {
            let reader = PassphraseReader(standardInput: nil, credentials: folder, warn: { _ in })
            #expect(refusal { try reader.read(.credential("n")) }.contains("CREDENTIALS_DIRECTORY is not set."))
        }
    }

    @Test(arguments: [
        ("printf hunter2; exit 3", "the key command: it ended with status 3. Run it by hand as this user."),
        ("printf hunter2 >&2; exit 75", "ended with status 75"), ("kill -9 $$", "was ended by signal 9"),
        ("true", "it is empty."), ("echo", "it is empty."),
        ("head -c 5000 /dev/zero | tr '\\0' hunter2", "it printed more than 1024 octets."),
        ("hunter2-is-no-command", "ended with status 127"),
    ])
    func commandsThatFailSayNothingOfTheirs(command: String, sentence: String) {
        let text = refusal { try read(.command(HiddenText(command))) }
        #expect(text.contains(sentence), "\(text)")
        #expect(!text.contains("hunter2") && !text.contains("hhhh"), "\(text)")
    }

    @Test(arguments: ["sleep 600", "echo a; exec >&-; sleep 600", "sleep 600 & echo a"])
    func commandsThatDoNotEndAreEnded(command: String) {
        let start = ContinuousClock.now
        #expect(throws: KeyCommand.Failure.self) {
            try KeyCommand.output(of: command, limit: 100, within: .milliseconds(200))
        }
        #expect(ContinuousClock.now - start < .seconds(20))
    }

    @Test func whoAsksNobodyRefusesPeople() {
        #expect(refusal { try read(.standardInput) }.contains("this program asks nobody."))
        #expect(refusal { try read(.terminal) }.contains("this program asks nobody."))
        #expect(refusal { try read(.standardInput, input: "") }.contains("from standard input: it is empty."))
    }

    @Test(
        arguments: [
            ("foobarbaz", true), ("fifteen letters", true), ("sixteen letters.", false), ("äöüäöüäöüäöüäöü", true),
        ])
    func aShortOneGetsOneWarning(text: String, warned: Bool) throws {
        var warnings: [String] = []
        let reader = PassphraseReader(standardInput: nil, credentials: nil) { warnings.append($0) }
        _ = try reader.read(.literal(HiddenText(text)))
        #expect(warnings.count == (warned ? 1 : 0))
        #expect(!warnings.contains { $0.contains(text) })
        warnings = []
        var encryption = QueueEncryption(key: .literal(HiddenText("as long as it should be")))
        encryption.previous = [.literal(HiddenText(text))]
        _ = try Passphrases(encryption, reader)
        #expect(warnings.isEmpty, "an earlier one is what it is")
    }

    @Test func theyAreHandedOnAsTheyAre() throws {
        for (current, previous) in [
            ("a", []), (nil, ["b"]), ("a", ["b", "\n\0", String(repeating: "c", count: 1024)]),
        ]
            as [(String?, [String])]
        {
            let passphrases = Passphrases(current: current.map { Secret($0) }, previous: previous.map { Secret($0) })
            let same = try Passphrases(bundle: passphrases.bundle)
            #expect(same.current?.text == current && same.previous.map(\.text) == previous)
        }
        for bytes: [UInt8] in [
            [], [0], [0, 2, 65], [0, 1, 65, 0, 0], [255, 255, 1], [0, 1, 65, 0],
            Array(repeating: [0, 1, 65], count: 9).flatMap(\.self), [4, 1] + Array(repeating: 65, count: 1025),
        ] {
            var bytes = bytes
            let secret = Secret(wiping: &bytes)
            #expect(refusal { try Passphrases(bundle: secret) }.contains("not what mail-supervise writes"))
        }
    }

    @Test func whatADescriptorGives() throws {
        let memory = try HandedKeys.memory("test", Secret(long))
        var status = stat()
        #expect(fstat(memory.descriptor, &status) == 0 && status.st_mode & 0o777 == 0o400)
        #expect(pwrite(memory.descriptor, "x", 1, 0) == -1 && ftruncate(memory.descriptor, 0) == -1)
        #expect(try HandedKeys.take(dup(memory.descriptor), option: "--key-fd").text == long)
        let end = pipe("a key")
        #expect(try HandedKeys.take(end, option: "--key-fd").text == "a key")
        #expect(fcntl(end, F_GETFD) == -1, "it is closed")
        #expect(refusal { try HandedKeys.take(pipe(""), option: "--key-fd") }.contains("nothing is there."))
        let large = pipe(String(repeating: "x", count: 1025))
        #expect(refusal { try HandedKeys.take(large, option: "--key-fd") }.contains("longer than 1024"))
        for descriptor: Int32 in [-1, 0, 2, 9999] {
            #expect(throws: CommandFailure.self) { try HandedKeys.take(descriptor, option: "--key-fd") }
        }
    }
}
