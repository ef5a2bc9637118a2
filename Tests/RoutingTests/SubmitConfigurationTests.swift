import Testing

@testable import Routing

@Suite struct SubmitConfigurationTests {
    @Test func whatIsWrittenIsRead() throws {
        var configuration = SubmitConfiguration(spool: "/srv/my pouch")
        #expect(try SubmitConfiguration.parse(text: configuration.render(), path: "s") == configuration)
        configuration.domain = "example.org"
        configuration.hostname = "mail.example.org"
        configuration.maxMessageSize = 12345
        configuration.publicKey = String(repeating: "0f", count: 32)
        configuration.publicKeyID = "00ff00ff00ff00ff"
        configuration.compresses = true
        #expect(try SubmitConfiguration.parse(text: configuration.render(), path: "s") == configuration)
    }

    @Test(arguments: [
        ("", "the line \"version ...\" is missing"), ("version 1", "the line \"spool ...\" is missing"),
        ("version 2\nspool /a", "version 2 is not known"), ("version 1\nspool a", "must be absolute"),
        ("version 1\nspool /a\nspol /b", "Did you mean \"spool\""), ("version 1\nversion 1", "stands here twice"),
        ("version 1\nspool", "has no value"), ("version 1\nspool /a\ndomain a b", "no host name"),
        ("version 1\nspool /a\nmax-message-size 0", "number of octets"),
        ("version 1\nspool /a\npublic-key a b", "64 digits"),
        ("version 1\nspool /a\npublic-key \(String(repeating: "A", count: 64))", "64 digits"),
        ("version 1\nspool /a\npublic-key \(String(repeating: "a", count: 63))", "64 digits"),
        ("version 1\nspool /a\npublic-key \(String(repeating: "a", count: 64))", "one is missing"),
        ("version 1\nspool /a\npublic-key-id 0123456789abcdef", "one is missing"),
        ("version 1\nspool /a\npublic-key-id 0", "16 digits"), ("version 1\nspool /a\ncompression lzma", "Write zlib"),
        ("version 1\nspool /a\u{7F}", "control character"),
    ])
    func whatIsWrongIsSaid(text: String, sentence: String) {
        do {
            _ = try SubmitConfiguration.parse(text: text, path: "submit.conf")
            Issue.record("taken: \(text)")
        } catch { #expect("\(error)".contains(sentence), "\(error)") }
    }

    @Test func itStandsBesidePouchConf() {
        #expect(SubmitConfiguration.path(besides: nil) == "/etc/pouch/submit.conf")
        #expect(SubmitConfiguration.path(besides: "/srv/a/pouch.conf") == "/srv/a/submit.conf")
        #expect(SubmitConfiguration.path(besides: "pouch.conf") == "submit.conf")
    }
}
