import CommandKit
import MailModel
import Testing

@testable import mail_enqueue

@Suite struct AddressesTests {
    static let addresses = Addresses(domain: "d.example")

    @Test(arguments: [
        (["root"], ["root@d.example"]),
        (["a@x.example", "b"], ["a@x.example", "b@d.example"]),
        (["a, \"Joe D.\" <joe@x.example>,<c>"], ["a@d.example", "joe@x.example", "c@d.example"]),
        (["\"a b\"@x.example"], ["\"a b\"@x.example"]),
        (["-x@y.example"], ["-x@y.example"]),
        (["a@[192.0.2.1]"], ["a@[192.0.2.1]"]),
        (["müller@bücher.example"], ["müller@bücher.example"]),
        (["|cmd"], ["|cmd@d.example"]),
    ]) func recipients(_ words: [String], _ expected: [String]) throws {
        #expect(try Self.addresses.recipients(words).map(\.description) == expected)
    }

    @Test(arguments: [
        "", " ", "<>", "a b", "a@", "@b", "a@b@c", "a,,b c", "a@x..example", "a\nb", "a\u{0}b@x.example", "\"a", "(a",
        "x <a@b", String(repeating: "a", count: 65) + "@x.example", String(repeating: "a", count: 65),
        "a@" + String(repeating: "a.", count: 128) + "example", "a\r\nRCPT TO:<b@x.example>",
    ]) func refusesAndNames(_ word: String) {
        let error = #expect(throws: CommandFailure.self) { try Self.addresses.recipients(["ok@x.example", word]) }
        #expect(error?.status == .dataError)
        #expect(error?.sentence.hasPrefix("the recipient \"\(String(word.prefix(200)))") == true)
    }

    @Test(arguments: [
        ("", ""), ("<>", ""), ("joe", "joe@d.example"), ("Joe <joe@x.example>", "joe@x.example"),
        ("<joe@x.example>", "joe@x.example"),
    ]) func reversePath(_ word: String, _ expected: String) throws {
        #expect(try Self.addresses.reversePath(word).description == expected)
    }

    @Test(arguments: ["a, b", "a b", "@", " "]) func refusesReversePath(_ word: String) {
        let error = #expect(throws: CommandFailure.self) { try Self.addresses.reversePath(word) }
        #expect(error?.status == .dataError)
    }

    @Test func eachOnceWithoutCaseInDomains() throws {
        let found = try Self.addresses.recipients(["a@x.example", "A@x.example", "a@X.EXAMPLE", "a@x.example"])
        #expect(try Addresses.unique(found).map(\.description) == ["a@x.example", "A@x.example"])
    }

    @Test func limitsRecipients() throws {
        let many = try Self.addresses.recipients((0...Addresses.recipientLimit).map { "u\($0)" })
        #expect(try Addresses.unique(many.dropLast()).count == Addresses.recipientLimit)
        let error = #expect(throws: CommandFailure.self) { try Addresses.unique(many) }
        #expect(error?.sentence.contains("10001 recipients; at most 10000") == true)
    }
}
