import Glibc
import Testing

@testable import Routing

@Suite struct EncryptionTests {
    private static let secret = "foobarbaz"

    @Test(
        arguments: [
            ("key \"foobarbaz\"", .literal(HiddenText(secret))), ("key foobarbaz", .literal(HiddenText(secret))),
            ("\"foobarbaz\"", .literal(HiddenText(secret))), ("foobarbaz", .literal(HiddenText(secret))),
            ("key file \"/etc/key\"", .file("/etc/key")), ("key file /etc/key", .file("/etc/key")),
            ("key credential \"pouch.queue-key\"", .credential("pouch.queue-key")),
            ("key command \"pass show q\"", .command(HiddenText("pass show q"))),
            ("key stdin", .standardInput), ("stdin", .standardInput), ("-", .standardInput),
            ("\"stdin\"", .standardInput), ("", .terminal), ("key \"stdin\"", .literal(HiddenText("stdin"))),
            ("key \"file\"", .literal(HiddenText("file"))),
        ] as [(String, KeySource)])
    func everyFormOfTheKey(text: String, source: KeySource) throws {
        let encryption = try parse("queue encryption \(text)").queueEncryption
        #expect(encryption == QueueEncryption(key: source))
    }

    @Test func allLinesTogether() throws {
        let encryption = try parse(
            """
            queue encryption iterations 200000
            queue encryption previous key "older than that"
            queue encryption key file "/etc/key"
            queue encryption previous key stdin
            queue encryption pbkdf2 each
            queue ledger "/srv/ledger"
            queue compression
            """)
        var expected = QueueEncryption(key: .file("/etc/key"))
        expected.previous = [.literal(HiddenText("older than that")), .standardInput]
        (expected.iterations, expected.stretchesEach, expected.ledger) = (200_000, true, "/srv/ledger")
        #expect(encryption.queueEncryption == expected && encryption.queueCompression)
        #expect(try parse("queue encryption previous key a").queueEncryption?.key == nil)
        #expect(try parse("").queueEncryption == nil)
    }

    @Test(arguments: [
        ("queue encryption key \"\"", "the passphrase is empty"),
        ("queue encryption \"\"", "the passphrase is empty"),
        ("queue encryption previous key ''", "the passphrase is empty"),
        ("queue encryption key", "the passphrase is missing"),
        ("queue encryption key = hunter2", "the passphrase is missing"),
        ("queue encryption key { hunter2 }", "the passphrase is missing"),
        ("queue encryption key file", "path of the key is expected"),
        ("queue encryption key file key", "must be absolute"),
        ("queue encryption key credential ../hunter2", "without a path"),
        ("queue encryption key credential .", "without a path"),
        ("queue encryption key command", "command that prints the key"),
        ("queue encryption previous hunter2", "\"key\" and where it comes from"),
        ("queue encryption iterations 99999", "between 100000 and 10000000"),
        ("queue encryption iterations 10000001", "between 100000 and 10000000"),
        ("queue encryption iterations many", "between 100000 and 10000000"),
        ("queue encryption pbkdf2", "\"each\" must stand here"),
        ("queue encryption key my hunter2 phrase", "the statement ends before this"),
        ("queue encryption kye hunter2", "the statement ends before this"),
        ("queue encryption key stdin hunter2", "the statement ends before this"),
        ("queue encrypton key hunter2", "Did you mean \"encryption\""),
        ("queu encryption key hunter2", "Did you mean \"queue\""),
        ("queue encryption key $hunter2", "this macro is not defined"),
        ("queue encryption key a$hunter2", "inside a word"),
        ("queue encryption \\\n key \\\n \"hunter2", "quote is not closed"),
        ("queue encryption\"hunter2\" hunter2", "the statement ends before this"),
        ("queue encryption key a\nqueue encryption key b", "stands here again"),
        ("queue encryption key a\nqueue encryption", "stands here again"),
        ("queue encryption key stdin\nqueue encryption previous key stdin", "standard input gives one passphrase"),
        ("queue encryption iterations 100000", "no line says with which key"),
        ("queue encryption pbkdf2 each", "no line says with which key"),
        ("queue ledger /a", "no line says with which key"), ("queue ledger a", "must be absolute"),
        ("queue encryption a\nqueue encryption pbkdf2 each\nqueue encryption iterations 1000001", "At most 1000000"),
        ("queue compression yes", "is too much"), ("queue compression\nqueue compression", "stands here again"),
        (String(repeating: "queue encryption previous key a\n", count: 8), "at most 7 previous keys"),
    ])
    func whatIsWrongIsSaidWithoutThePassphrase(text: String, sentence: String) {
        let error = mistake(text)?.description ?? "taken"
        #expect(error.contains(sentence), "\(error)")
        #expect(!error.contains("hunter2") || text.contains("iterations"), "\(error)")
    }

    @Test func noDescriptionShowsIt() throws {
        let configuration = try parse("queue encryption key foobarbaz\nqueue encryption previous key command foobarbaz")
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains("foobar"), "\(text)")
        }
    }

    /// A folder with files of these texts and modes.
    private func folder(_ files: [(name: String, text: String, mode: UInt32)]) throws -> String {
        let path = try #require(mkdtemp(strdup("/tmp/pouch-keys.XXXXXX")).map { String(cString: $0) })
        for file in files {
            let stream = try #require(fopen("\(path)/\(file.name)", "w"))
            fputs(file.text, stream)
            fclose(stream)
            chmod("\(path)/\(file.name)", file.mode)
        }
        return path
    }

    private static let key = "queue encryption key \"foobarbaz\"\n"

    @Test(
        arguments: [
            ("mine alone", [("c", key, 0o600)], nil), ("a group's choice", [("c", key, 0o640)], nil),
            ("everybody's", [("c", key, 0o644)], "c"), ("others but not the group", [("c", key, 0o604)], "c"),
            ("in an include", [("c", "include \"i\"\n", 0o600), ("i", key, 0o644)], "i"),
            ("beside an open include", [("c", "include \"i\"\n\(key)", 0o600), ("i", "", 0o644)], nil),
            ("an open file around it", [("c", "include \"i\"\n", 0o644), ("i", key, 0o600)], nil),
            (
                "in a macro",
                [("c", "include \"m\"\nqueue encryption key $k\n", 0o600), ("m", "k = \"foo\"\n", 0o644)], "m"
            ),
            ("previous", [("c", "queue encryption previous key foo\n", 0o644)], "c"),
            ("no passphrase", [("c", "queue encryption key file /k\n", 0o644)], nil),
        ] as [(String, [(String, String, UInt32)], String?)])
    func othersMayNotReadIt(what: String, files: [(String, String, UInt32)], shown: String?) throws {
        let folder = try folder(files)
        defer { for file in files { unlink("\(folder)/\(file.0)") }; rmdir(folder) }
        do {
            _ = try Configuration.load(path: "\(folder)/c", facts: EnvironmentFacts(uid: 0))
            #expect(shown == nil, "\(what)")
        } catch {
            #expect(error.file == shown.map { "\(folder)/\($0)" }, "\(what): \(error)")
            #expect(error.message.contains("chmod o-r \(error.file)") && error.exitStatus == 78)
            #expect(!"\(error)".contains("foo"))
        }
    }

    @Test func itIsHandedOnWithoutThePassphrase() throws {
        let text = """
            mine = "foobarbaz"
            include "i"
            queue encryption \\
              key \\
              "foobarbaz"
            queue encryption previous key $mine
            table t { a,
              b }
            match for domain <t> reject

            """
        let folder = try folder([("c", text, 0o600), ("i", "listen on lo port 2525\n", 0o600)])
        defer { for name in ["c", "i"] { unlink("\(folder)/\(name)") }; rmdir(folder) }
        let files = try ConfigurationFiles.load(path: "\(folder)/c", facts: EnvironmentFacts(uid: 0))
        let bundle = files.bundle()
        #expect(!String(decoding: bundle, as: UTF8.self).contains("foobarbaz"))
        let handed = try ConfigurationFiles.load(bundle: bundle, facts: EnvironmentFacts(uid: 0)).configuration
        #expect(handed.queueEncryption?.key == .file("/dev/null"))
        #expect(handed.queueEncryption?.previous == [.file("/dev/null")])
        var same = files.configuration
        (same.queueEncryption, same.literalKeys) = (handed.queueEncryption, handed.literalKeys)
        #expect(same == handed)
        for count in 0..<bundle.count {
            #expect(throws: ConfigurationError.self) {
                try ConfigurationFiles.load(bundle: Array(bundle.prefix(count)))
            }
        }
    }
}
