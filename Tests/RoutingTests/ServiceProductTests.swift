// Owns: every service on every backend, the product in full. Refuses: how each backend keeps its entries.

import Glibc
import MailModel
import Testing

@testable import Routing

@Suite struct ServiceProductTests {
    enum Backend: String, CaseIterable {
        case inPlace, file, database, program
    }

    /// What a service is asked, and what must come of it.
    struct Row: Sendable, CustomTestStringConvertible {
        var service: TableService
        /// "key value", or "key" in a list; in lower case where the service folds.
        var entries: [String]
        /// A key that is there in another form (case, a member of the network or domain), and its value.
        var asked: String
        var value: String
        var absent: String
        var testDescription: String { service.rawValue }
    }

    /// A row for each service; `everyServiceHasARow` sees to that.
    static let rows: [Row] = [
        Row(
            service: .alias, entries: ["root fred, w@example.org"], asked: "ROOT", value: "fred, w@example.org",
            absent: "x"),
        Row(
            service: .domain, entries: ["example.org", "*.example.net"], asked: "A.b.Example.NET",
            value: "*.example.net", absent: "example.net"),
        Row(service: .credentials, entries: ["label user:pa:ss"], asked: "label", value: "user:pa:ss", absent: "Label"),
        Row(
            service: .netaddr, entries: ["192.0.2.0/24", "2001:db8::/32"], asked: "2001:DB8::9", value: "2001:db8::/32",
            absent: "2001:db9::9"),
        Row(
            service: .userinfo, entries: ["vmail 5000:5001:/var/vmail"], asked: "vmail", value: "5000:5001:/var/vmail",
            absent: "Vmail"),
        Row(
            service: .source, entries: ["192.0.2.1", "2001:db8::1"], asked: "2001:DB8::1", value: "2001:db8::1",
            absent: "192.0.2.2"),
        Row(
            service: .mailaddr, entries: ["@example.org", "boss@*.example.com"], asked: "Boss@X.example.com",
            value: "boss@*.example.com", absent: "boss@example.com"),
        Row(
            service: .addrname, entries: ["192.0.2.1 mail.example.org", "[2001:db8::1] six.example.org"],
            asked: "2001:DB8:0::1", value: "six.example.org", absent: "2001:db8::2"),
        Row(
            service: .mailaddrmap, entries: ["fred @example.org, fred"], asked: "fred", value: "@example.org, fred",
            absent: "Fred"),
        Row(
            service: .relayhost, entries: ["inside smtp://r.example.org:2525"], asked: "inside",
            value: "smtp://r.example.org:2525", absent: "Inside"),
        Row(service: .string, entries: ["key some words"], asked: "key", value: "some words", absent: "Key"),
        Row(
            service: .regex, entries: ["^ham@", "^spam[0-9]+@"], asked: "SPAM77@x", value: "^spam[0-9]+@",
            absent: "spam@x"),
    ]

    /// A set of one table `t` with these entries.
    private func tables(_ backend: Backend, _ entries: [String], in folder: Folder) throws -> TableSet {
        let text = entries.map { $0 + "\n" }.joined()
        let pairs = entries.map { $0.split(separator: " ", maxSplits: 1).map(String.init) }
        switch backend {
        case .inPlace where pairs.allSatisfy { $0.count == 1 }:
            return TableSet(tables: [StaticTable(name: "t", list: entries)])
        case .inPlace:
            return TableSet(tables: [StaticTable(name: "t", mapping: pairs.map { .init(key: $0[0], value: $0[1]) })])
        case .file: return TableSet(tables: [try FileTable(name: "t", path: folder.write(text, to: "text")) { _ in }])
        case .database:
            let path = folder.write(try database(text), to: "text.db")
            return TableSet(tables: [try DatabaseTable(name: "t", path: path) { _ in }])
        case .program: return TableSet(tables: [try programTable(text, in: folder)])
        }
    }

    @Test func everyServiceHasARow() {
        #expect(Self.rows.map(\.service.rawValue).sorted() == TableService.allCases.map(\.rawValue).sorted())
    }

    @Test(arguments: Backend.allCases, rows)
    func product(backend: Backend, row: Row) throws {
        let folder = Folder()
        let tables = try tables(backend, row.entries, in: folder)
        let found = try tables.find(row.asked, in: "t", service: row.service).map(\.value)
        if backend == .program, [.netaddr, .regex].contains(row.service) {
            // The program judges these: it says that there is one, not which.
            #expect(found != .notFound)
        } else {
            #expect(found == .found(row.value))
        }
        #expect(try tables.find(row.absent, in: "t", service: row.service).map(\.value) == .notFound)
    }

    /// What the programs call, one function a service.
    @Test(arguments: Backend.allCases)
    func typedValues(backend: Backend) throws {
        let folder = Folder()
        let rows = Dictionary(uniqueKeysWithValues: Self.rows.map { ($0.service, $0.entries) })
        func set(_ service: TableService) throws -> TableSet { try tables(backend, rows[service] ?? [], in: folder) }
        let mailbox = try #require(Mailbox("w@example.org"))
        let (four, six) = (try #require(IPAddress("192.0.2.1")), try #require(IPAddress("2001:db8::1")))

        #expect(
            try set(.alias).alias("t", keys: ["x", "Root"]).map(\.value) == .found([.user("fred"), .address(mailbox)]))
        #expect(try set(.credentials).credentials("t", "label").map(\.value.secret) == .found("pa:ss"))
        #expect(
            try set(.userinfo).userInfo("t", "vmail") == .found(UserInfo(uid: 5000, gid: 5001, home: "/var/vmail")))
        #expect(try set(.mailaddrmap).senders("t", of: "fred").map(\.value) == .found(["@example.org", "fred"]))
        #expect(
            try set(.relayhost).relayHost("t", "inside").map(\.value)
                == .found(RelayHost(host: "r.example.org", port: 2525)))
        #expect(try set(.string).string("t", "key").map(\.value) == .found("some words"))
        // The lookup that one backend of one mailer forgot in 2013.
        #expect(try set(.addrname).addressName("t", four).map(\.value) == .found("mail.example.org"))
        #expect(try set(.addrname).addressName("t", six).map(\.value) == .found("six.example.org"))
        guard case .found(let sources) = try set(.source).sources("t") else {
            Issue.record("no sources")
            return
        }
        // A program gives one after the other.
        #expect(sources == (backend == .program ? ["192.0.2.1"] : ["192.0.2.1", "2001:db8::1"]))
    }

    @Test(arguments: [Backend.inPlace, .file, .database], rows.filter(\.service.foldsCase))
    func keysFoldHoweverTheyAreWritten(backend: Backend, row: Row) throws {
        guard ![.regex, .addrname, .netaddr, .source].contains(row.service) else { return }
        let folder = Folder()
        let entries = row.entries.map { entry in
            let parts = entry.split(separator: " ", maxSplits: 1)
            return ([parts[0].uppercased()] + parts.dropFirst().map(String.init)).joined(separator: " ")
        }
        let found = try tables(backend, entries, in: folder).find(row.asked, in: "t", service: row.service)
        #expect(found.map { $0.value.lowercased() } == .found(row.value.lowercased()))
    }

    @Test func theSystemsUsersAreATable() throws {
        let table = SystemUsersTable(name: "u") { name in
            name == "fred" ? .found(UserInfo(uid: 7, gid: 8, home: "/home/fred")) : .notFound
        }
        let tables = TableSet(tables: [table])
        #expect(tables.userInfo("u", "fred") == .found(UserInfo(uid: 7, gid: 8, home: "/home/fred")))
        #expect(tables.userInfo("u", "wilma") == .notFound)
        for row in Self.rows where row.service != .userinfo {
            guard case .temporaryFailure = try tables.find(row.asked, in: "u", service: row.service) else {
                Issue.record("\(row.service) was answered")
                return
            }
        }
        guard case .found = TableSet(tables: [SystemUsersTable(name: "u")]).userInfo("u", "root") else {
            Issue.record("this machine has no root")
            return
        }
    }

    @Test(arguments: ["a(", "[", "*x\\", String(repeating: "a", count: 5000)])
    func noRegularExpressions(text: String) {
        #expect(TableService.regex.wrongKey(text) != nil)
        let tables = TableSet(tables: [StaticTable(name: "t", list: ["^x", text])])
        guard case .temporaryFailure = tables.expression("t", matching: "y") else {
            Issue.record("\(text) was taken")
            return
        }
        #expect(tables.expression("t", matching: "xyz").map(\.key) == .found("^x"))
    }
}
