// Owns: ~/.forward as text and facts. Refuses: files.

import MailModel
import Testing

@testable import Routing

@Suite struct ForwardFileTests {
    private func file(uid: UInt32 = 1000) throws -> ForwardFile {
        ForwardFile(user: "fred", uid: uid, recipient: try #require(Mailbox("fred+lists@example.org")))
    }

    private func shown(_ outcome: ForwardOutcome) -> String {
        switch outcome {
        case .none: return "none"
        case .refused(let error): return error.summary
        case .plan(let plan):
            let words = (plan.keepsHere ? ["here"] : []) + plan.addresses.map(\.description) + plan.files
            return (words + plan.commands.map { "|" + $0 }).joined(separator: " ")
        }
    }

    @Test(
        arguments: [
            ("", "none"), ("\n  \n# nobody\n", "none"),
            (
                "# empty lines are ignored\n\nuser@example.com\t# anything after # is ignored\n\"|/path/to/examplemda\"\n",
                "user@example.com |/path/to/examplemda"
            ),
            ("fred", "here"), ("FRED\n", "here"), ("fred+other", "here"), ("fred@example.org", "here"),
            ("fred+x@Example.ORG", "here"), ("\\fred, \"|/usr/bin/vacation fred\"", "here |/usr/bin/vacation fred"),
            ("a@example.net, \\fred", "here a@example.net"), ("fred@example.net", "fred@example.net"),
            ("wilma", "wilma@example.org"), ("a@x.example\r\na@X.example\r\nb@x.example", "a@x.example b@x.example"),
            ("/home/fred/mail", "/home/fred/mail"), ("/home/fred/mail, /home/fred/mail, fred", "here /home/fred/mail"),
            ("error:550 no more", "550 5.1.1 no more"), ("fred\n:ERROR:450 later\n", "450 4.2.1 later"),
            (
                "foo bar",
                "451 4.3.5 line 1 of the .forward of fred: \"foo bar\" is no target; expected a user, an address, /file, |command, :include:/file or error:"
            ),
            (
                "fred\nerror:250 fine",
                "451 4.3.5 line 2 of the .forward of fred: \"error:250 fine\" is no error: write error:550 and a text, the code being 4xx or 5xx, one blank, and a letter or digit first"
            ),
            (":include:/etc/passwd", "550 5.3.5 line 1 of the .forward of fred: :include: is for aliases alone"),
            (
                String(repeating: "a@x.example\n", count: 101),
                "550 5.3.5 the .forward of fred has more than 100 targets"
            ),
            (String(repeating: "#\n", count: 40_000), "451 4.3.5 the .forward of fred is longer than 64 KiB"),
        ] as [(String, String)])
    func texts(text: String, expected: String) throws { #expect(shown(try file().plan(text)) == expected) }

    @Test func rootRunsNothing() throws {
        #expect(
            shown(try file(uid: 0).plan("|cmd")) == "550 5.3.5 line 1 of the .forward of fred: root runs no commands")
    }

    @Test(
        arguments: [
            (0o700, 1000, .regular(.init(owner: 1000, mode: 0o644)), nil),
            (0o755, 0, .regular(.init(owner: 1000, mode: 0o600)), nil),
            (0o755, 1000, .missing, "none"),
            (
                0o1755, 1000, .missing,
                "451 4.3.5 the home of fred has the sticky bit set: its .forward is being changed"
            ),
            (
                0o1755, 1000, .regular(.init(owner: 1000, mode: 0o644)),
                "451 4.3.5 the home of fred has the sticky bit set: its .forward is being changed"
            ),
            (
                0o755, 1000, .regular(.init(owner: 1001, mode: 0o644)),
                "550 5.3.5 the .forward of fred belongs to somebody else"
            ),
            (
                0o755, 1000, .regular(.init(owner: 1000, mode: 0o664)),
                "550 5.3.5 others than fred may change the .forward"
            ),
            (
                0o755, 1000, .regular(.init(owner: 1000, mode: 0o646)),
                "550 5.3.5 others than fred may change the .forward"
            ),
            (
                0o775, 1000, .regular(.init(owner: 1000, mode: 0o644)),
                "550 5.3.5 others than fred may change the home, and so the .forward"
            ),
            (
                0o757, 1000, .regular(.init(owner: 1000, mode: 0o644)),
                "550 5.3.5 others than fred may change the home, and so the .forward"
            ),
            (
                0o755, 1001, .regular(.init(owner: 1000, mode: 0o644)),
                "550 5.3.5 others than fred may change the home, and so the .forward"
            ),
            (0o755, 1000, .other, "550 5.3.5 the .forward of fred is no regular file"),
            (
                0o755, 1000, .unreadable("permission denied"),
                "451 4.3.5 the .forward of fred can't be read: permission denied"
            ),
        ] as [(UInt32, UInt32, ForwardFacts.File, String?)])
    func facts(homeMode: UInt32, homeOwner: UInt32, found: ForwardFacts.File, expected: String?) throws {
        let facts = ForwardFacts(home: .init(owner: homeOwner, mode: homeMode), file: found)
        #expect(try file().check(facts).map(shown) == expected)
    }
}
