import Glibc
import MailModel
import Synchronization
import Testing

@testable import Routing

@Suite struct TableTextTests {
    private func pairs(_ text: String) throws -> [String] {
        try TableText.entries(SourceText(path: "t", text: text), table: "t").map {
            $0.key + ($0.value.map { "=" + $0 } ?? "")
        }
    }

    @Test(
        arguments: [
            ("a b\nc: d\ne:f\ng : h", ["a=b", "c=d", "e=f", "g=h"]),
            ("# comment\n\n  # another\nroot: fred,\n  wilma,\n\tbarney\nx y", ["root=fred, wilma, barney", "x=y"]),
            ("list:\n  a,\n  b", ["list=a, b"]),
            ("\"a b\": c", ["a b=c"]),
            ("a\nb\n a\n", ["a", "b"]),
            ("#@list\na:b\nc:d", ["a:b", "c:d"]),
            ("2001:db8::1\n192.0.2.0/24", ["2001:db8::1", "192.0.2.0/24"]),
            ("[2001:db8::1] mail.example.org\n192.0.2.1: m", ["[2001:db8::1]=mail.example.org", "192.0.2.1=m"]),
            ("2001:db8::1 mail.example.org", ["2001:db8::1=mail.example.org"]),
            ("@example.org: fred", ["@example.org=fred"]),
            ("prog: |\"cmd a, b\"\r\n", ["prog=|\"cmd a, b\""]),
            ("", []),
        ] as [(String, [String])])
    func entries(text: String, expected: [String]) throws {
        #expect(try pairs(text.replacing("\r\n", with: "\n")) == expected)
    }

    @Test(arguments: [
        ("a b\nc", "t:2:1: the key \"c\" has no value"), ("a b\na c", "t:2:1: the key \"a\" stands here again"),
        ("a\nb c", "t:2:1: a list has one entry a line"), (" a: b", "there is none before it"),
        ("\"a b", "its quote is not closed"), (": x", "a key is missing"), ("a b\u{1}", "control character"),
        ("a\u{0}b c", "control character"),
    ])
    func mistakes(text: String, sentence: String) {
        do {
            _ = try TableText.entries(SourceText(path: "t", text: text), table: "t")
            Issue.record("taken: \(text)")
        } catch { #expect("\(error)".contains(sentence), "\(error)") }
    }

    @Test func manyLinesAreQuick() throws {
        let text = (0..<50_000).map { "user\($0): target\($0)\n" }.joined()
        #expect(try TableText.entries(SourceText(path: "t", text: text), table: "t").count == 50_000)
        let long = "a: b\n" + String(repeating: "  c,\n", count: 30_000)
        #expect(throws: ConfigurationError.self) {
            try TableText.entries(SourceText(path: "t", text: long), table: "t")
        }
    }
}

@Suite struct FileTableTests {
    private func withFile(_ body: (String) throws -> Void) throws {
        var name = Array("/tmp/pouch-table-XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        #expect(descriptor >= 0)
        close(descriptor)
        let path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(path) }
        try body(path)
    }

    /// Puts a new file in the place of the old, as editors do.
    private func write(_ text: String, to path: String) {
        let descriptor = open(path + ".new", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let bytes = Array(text.utf8)
        #expect(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
        #expect(rename(path + ".new", path) == 0)
    }

    @Test func aChangeIsTakenWholeOrNotAtAll() throws {
        let reports = Mutex<[String]>([])
        try withFile { path in
            write("root: fred\n", to: path)
            let table = try FileTable(name: "aliases", path: path, services: [.alias]) { text in
                reports.withLock { $0.append(text) }
            }
            let value = { () -> String? in
                if case .found(let entry) = table.find("root", folding: true) { entry.value } else { nil }
            }
            #expect(value() == "fred")
            write("root: wilma\n", to: path)
            #expect(value() == "wilma")
            for (text, complaint) in [
                ("root: barney\nbroken\n", ":2: the key \"broken\" has no value"),
                ("root: error:999 x\n", ":1: \"error:999 x\" is no error"), ("root\n", ":1: the table is a list"),
                ("Root: a\nroot: b\n", ":2: the key \"root\" stands in this table twice"),
            ] {
                write(text, to: path)
                #expect(value() == "wilma" && value() == "wilma", "\(text)")
                let last = reports.withLock { $0.removeLast() }
                #expect(last.contains(complaint) && last.contains("stays in use"), "\(last)")
                #expect(reports.withLock { $0.isEmpty }, "one report for one change")
            }
            unlink(path)
            #expect(value() == "wilma" && value() == "wilma")
            #expect(reports.withLock { $0.count } == 1)
            write("root: betty\n", to: path)
            #expect(value() == "betty")
        }
    }

    @Test func atTheStartTheFileMustBeGood() {
        #expect(throws: ConfigurationError.self) { try FileTable(name: "a", path: "/nonexistent/a") { _ in } }
    }
}

@Suite struct ServiceTests {
    private let tables = TableSet(tables: [
        StaticTable(
            name: "map",
            mapping: [
                ("Root", "fred, wilma@example.org"), ("vmail", "1000:1001:/var/vmail"), ("bad", "1000"),
                ("192.0.2.1", "mail.example.org"), ("[2001:db8::1]", "six.example.org"),
                ("relay", "smtp://r.example.org:2525"), ("label", "user:pa:ss"), ("fred", "@example.org, fred"),
            ].map { TableDefinition.Entry(key: $0, value: $1) }),
        StaticTable(
            name: "list",
            list: [
                "192.0.2.0/24", "10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "*.Example.com", "example.org",
                "@example.net", "boss@*.example.com", "postmaster",
            ]),
    ])

    @Test func valuesReadAsTheirService() {
        let targets = Mailbox("wilma@example.org").map { [AliasTarget.user("fred"), .address($0)] } ?? []
        #expect(tables.alias("map", keys: ["x", "root"]).map(\.value) == .found(targets))
        #expect(tables.userInfo("map", "vmail") == .found(UserInfo(uid: 1000, gid: 1001, home: "/var/vmail")))
        #expect(tables.userInfo("map", "Vmail") == .notFound)
        #expect(tables.relayHost("map", "relay").map(\.value) == .found(RelayHost(host: "r.example.org", port: 2525)))
        #expect(tables.credentials("map", "label").map(\.value.secret) == .found("pa:ss"))
        #expect(tables.senders("map", of: "fred").map(\.value) == .found(["@example.org", "fred"]))
        #expect(tables.string("map", "bad").map(\.value) == .found("1000"))
        #expect(IPAddress("192.0.2.1").map { tables.addressName("map", $0).map(\.value) } == .found("mail.example.org"))
        #expect(
            IPAddress("2001:DB8:0::1").map { tables.addressName("map", $0).map(\.value) } == .found("six.example.org"))
    }

    @Test func aMistakeIsTemporaryAndSaysWhere() {
        #expect(
            tables.userInfo("map", "bad") == .temporaryFailure("table map: \"1000\" is no user: write uid:gid:/home"))
        #expect(tables.userInfo("none", "x") == .temporaryFailure("table none is not defined"))
        #expect(
            tables.alias("list", keys: ["postmaster"]).map(\.value)
                == .temporaryFailure("table list is a list, and aliases need keys with values"))
    }

    @Test(
        arguments: [
            ("10.1.2.3", "10.1.0.0/16"), ("10.2.2.3", "10.0.0.0/8"), ("192.0.3.1", nil),
            ("2001:db8:ffff::1", "2001:db8::/32"),
            ("2001:db9::1", nil), ("::ffff:192.0.2.9", "192.0.2.0/24"),
        ] as [(String, String?)])
    func networks(address: String, key: String?) throws {
        let result = tables.networkAddress("list", try #require(IPAddress(address)))
        #expect(result.map(\.key) == (key.map { .found($0) } ?? .notFound))
    }

    @Test(
        arguments: [
            ("a.b.example.COM", "*.Example.com"), ("example.com", nil), ("EXAMPLE.org", "example.org"),
            ("x.example.org", nil),
            ("badexample.com", nil),
        ] as [(String, String?)])
    func domains(domain: String, key: String?) {
        #expect(tables.domain("list", domain).map(\.key) == (key.map { .found($0) } ?? .notFound))
    }

    @Test(
        arguments: [
            ("anyone@example.net", "@example.net"), ("Boss@x.example.com", "boss@*.example.com"),
            ("postmaster@anywhere.example", "postmaster"), ("boss@example.com", nil), ("x@example.org", nil),
        ] as [(String, String?)])
    func mailAddresses(address: String, key: String?) throws {
        let result = tables.mailAddress("list", try #require(Mailbox(address)))
        #expect(result.map(\.key) == (key.map { .found($0) } ?? .notFound))
    }

    /// A backend that only knows keys must do for every service.
    private struct KeysAlone: Table {
        let name = "keys"
        let entries: [String: String]
        func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> {
            entries[key].map { .found(TableEntry(table: name, key: key, value: $0)) } ?? .notFound
        }
        func all() -> LookupResult<[TableEntry]> { .temporaryFailure("not here") }
    }

    @Test func networksWorkOnEveryBackend() throws {
        let table = KeysAlone(entries: ["10.0.0.0/8": "", "2001:db8::/32": "", "192.0.2.1": ""])
        let set = TableSet(tables: [table])
        for (text, key) in [("10.9.9.9", "10.0.0.0/8"), ("2001:db8::5", "2001:db8::/32"), ("192.0.2.1", "192.0.2.1")] {
            #expect(set.networkAddress("keys", try #require(IPAddress(text))).map(\.key) == .found(key))
        }
    }

    @Test(arguments: [
        ("map", TableService.alias, "ROOT", "fred, wilma@example.org"),
        ("map", .addrname, "192.0.2.1", "mail.example.org"),
        ("list", .netaddr, "10.1.9.9", "10.1.0.0/16"), ("list", .domain, "a.example.com", "*.Example.com"),
        ("list", .mailaddr, "x@example.net", "@example.net"), ("map", .string, "bad", "1000"),
    ])
    func anyServiceByName(table: String, service: TableService, key: String, value: String) throws {
        #expect(try tables.find(key, in: table, service: service).map(\.value) == .found(value))
    }

    @Test(arguments: [(TableService.netaddr, "x"), (.addrname, ""), (.mailaddr, "x")])
    func aKeyMustFitItsService(service: TableService, key: String) {
        #expect(throws: MalformedValue.self) { try tables.find(key, in: "list", service: service) }
    }

    /// Not readable must never look like empty.
    @Test func aTableThatMayNotBeReadDefers() throws {
        let configuration = try parse(
            "table t \"/nonexistent/t\"\naction a maildir alias <t>\nmatch from src <t> for any action a")
        #expect(throws: ConfigurationError.self) { try TableSet(opening: configuration) { _ in } }
        let tables = try TableSet(opening: configuration, unreadable: .isTemporary) { _ in }
        if case .temporaryFailure(let why) = tables.alias("t", keys: ["x"]) {
            #expect(why.contains("/nonexistent/t: cannot read table t: no such file"))
        } else {
            Issue.record("the table answered")
        }
    }

    @Test(arguments: [
        "", "1", "1.2.3", "256.0.0.1", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/8/8", "[::1",
        "example.org",
        "1.2.3.4/0x8", "::1/+1", "1.2.3.4\u{0}",
    ])
    func noNetworks(text: String) { #expect(Network(text) == nil) }

    @Test func theEdgesOfNetworks() throws {
        let all = try #require(Network("0.0.0.0/0"))
        let all6 = try #require(Network("::/0"))
        let (v4, v6) = (try #require(IPAddress("255.255.255.255")), try #require(IPAddress("ffff::1")))
        #expect(all.contains(v4) && !all.contains(v6) && all6.contains(v6) && !all6.contains(v4))
        let one = try #require(Network("2001:db8::1/128"))
        let (inside, outside) = (try #require(IPAddress("2001:db8::1")), try #require(IPAddress("2001:db8::2")))
        #expect(one.contains(inside) && !one.contains(outside))
        #expect(IPAddress("127.9.9.9")?.isLoopback == true && IPAddress("::1")?.isLoopback == true)
    }
}
