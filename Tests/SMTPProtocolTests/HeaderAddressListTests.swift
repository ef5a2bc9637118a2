import MailModel
import Testing

@testable import SMTPProtocol

@Suite struct HeaderAddressListTests {
    @Test(arguments: [
        ("a@x.example", "a@x.example"), (" a@x.example , b@y.example ", "a@x.example|b@y.example"),
        ("A B <a@x.example>", "a@x.example"), ("\"B, A\" <a@x.example>", "a@x.example"),
        ("\"a\\\"b\" <a@x.example>", "a@x.example"), ("J. R. <a@x.example>", "a@x.example"),
        ("a@x.example (Name, (nested) \\) one)", "a@x.example"), ("(c)a(c)@(c)x(c).(c)example(c)", "a@x.example"),
        ("a . b @ x . example", "a.b@x.example"), ("\"a b\"@x.example", "\"a b\"@x.example"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"), ("<@r.example,@s.example:a@x.example>", "a@x.example"),
        ("A:a@x.example,b;", "a@x.example|b/15"), ("undisclosed-recipients:;", ""),
        ("undisclosed-recipients: ;, c", "c/28"),
        ("A: a@x.example; b@y.example", "a@x.example|b@y.example"), ("<>", ""), ("", ""), (",, ,", ""),
        (" (only) ", ""),
        ("root", "root/4"), ("root (Charlie)", "root/4"), ("Charlie <root>", "root/13"), ("\"a b\"", "a b/5"),
        ("a.b", "a.b/3"), ("root,\r\n bin", "root/4|bin/11"), ("jürgen@x.example", "jürgen@x.example"),
        ("=?utf-8?q?J=C3=BC?= <a@x.example>", "a@x.example"), ("=?utf-8?q?Doe,_J?= <a@x.example>", "!0-13|a@x.example"),
        ("John Doe", "!0-8"), ("a@x.example b@y.example", "!0-23"), ("a@", "!0-2"), ("@x.example", "!0-10"),
        ("a@x@y", "!0-5"), ("a@-x.example", "!0-12"), ("<a@x.example", "!0-12"), ("a@x.example>", "!0-12"),
        ("<a@x.example> b", "!0-15"), ("A <a@x.example", "!0-14"), ("(never ends", "!0-11"), ("\"never ends", "!0-11"),
        ("[never ends", "!0-11"), ("a\u{1}b@x.example", "!0-13"), ("a@x:b@y", "!0-7"), ("a.", "!0-2"),
        ("a b@x.example", "!0-13"),
        ("A: B: a@x.example;", "!3-17"), ("a@x.example;b@y.example", "a@x.example|b@y.example"),
        ("<<a@x.example>>", "!0-15"),
        ("a\\b@x.example", "!0-13"), ("\"a\r\n b\"@x.example", "\"a b\"@x.example"),
        ("a..b@x.example", "\"a..b\"@x.example"),
    ]) func reads(value: String, elements: String) {
        let words = AddressList(Array(value.utf8)).elements.map { element in
            switch element {
            case .mailbox(let mailbox): mailbox.description
            case .bare(let name): "\(name.local)/\(name.end)"
            case .malformed(let range): "!\(range.lowerBound)-\(range.upperBound)"
            }
        }
        #expect(words.joined(separator: "|") == elements)
    }

    /// Nothing here recurses, reads twice or grows without bound.
    @Test(arguments: ["(", "<", "\"", "[", "a,", ":", "a:", "\\", "@", "a.", ",", "a ", "<a@b.example>,", ";"])
    func boundsHostileLists(unit: String) {
        let value = Array(repeatElement(Array(unit.utf8), count: 20_000).joined())
        let list = AddressList(value)
        #expect(list.elements.count <= AddressList.elementLimit)
        #expect(list.isCut == (unit == "a," || unit == "<a@b.example>,"))
    }
}
