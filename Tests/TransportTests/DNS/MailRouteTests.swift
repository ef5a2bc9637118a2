import MailModel
import SMTPProtocol
import Testing

@testable import Transport

/// Always the same order.
private struct Fixed: RandomNumberGenerator {
    var state: UInt64 = 1
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state
    }
}

private func mx(_ preference: UInt16, _ host: String) -> DNSRecord {
    DNSRecord(owner: "Example.org", ttl: 60, value: .mx(preference: preference, host: host))
}

private func answered(_ records: DNSRecord...) -> DNSAnswer { DNSAnswer(.answered, records: records) }

struct ExchangerRow: Sendable, CustomTestStringConvertible {
    var reason: String
    var answer: DNSAnswer
    var own: Set<String> = []
    var hosts: [String] = []
    var status: EnhancedStatusCode?
    var testDescription: String { reason }
}

private let exchangerRows: [ExchangerRow] = [
    ExchangerRow(
        reason: "sorted by preference", answer: answered(mx(20, "b.x"), mx(10, "a.x")), hosts: ["a.x", "b.x"]),
    ExchangerRow(reason: "no MX: the domain itself", answer: answered(), hosts: ["example.org"]),
    ExchangerRow(reason: "Null MX", answer: answered(mx(0, "")), status: .init(5, 1, 10)),
    ExchangerRow(
        reason: "a root among others is no Null MX", answer: answered(mx(0, ""), mx(5, "a.x")), hosts: ["a.x"]),
    ExchangerRow(reason: "NXDOMAIN", answer: DNSAnswer(.noSuchName), status: .init(5, 1, 2)),
    ExchangerRow(reason: "a name too long for DNS", answer: DNSAnswer(.badName), status: .init(5, 1, 2)),
    ExchangerRow(reason: "SERVFAIL", answer: DNSAnswer(.serverFailure), status: .init(4, 4, 3)),
    ExchangerRow(reason: "silence", answer: DNSAnswer(.noAnswer), status: .init(4, 4, 3)),
    ExchangerRow(reason: "garbage", answer: DNSAnswer(.malformed), status: .init(4, 4, 3)),
    ExchangerRow(
        reason: "CNAME before MX",
        answer: answered(
            DNSRecord(owner: "example.org", ttl: 9, value: .cname("Other.net")),
            DNSRecord(owner: "other.NET", ttl: 9, value: .mx(preference: 1, host: "m.x"))),
        hosts: ["m.x"]),
    ExchangerRow(
        reason: "CNAMEs in a circle: as if there were none",
        answer: answered(DNSRecord(owner: "example.org", ttl: 9, value: .cname("example.org"))), hosts: ["example.org"]),
    ExchangerRow(
        reason: "an MX of somebody else does not count",
        answer: answered(DNSRecord(owner: "evil.example", ttl: 9, value: .mx(preference: 1, host: "m.x"))),
        hosts: ["example.org"]),
    ExchangerRow(
        reason: "only those better than ourselves", answer: answered(mx(5, "a.x"), mx(10, "Me.x"), mx(20, "b.x")),
        own: ["me.x"], hosts: ["a.x"]),
    ExchangerRow(
        reason: "nobody better than ourselves", answer: answered(mx(5, "me.x"), mx(20, "b.x")), own: ["me.x"],
        status: .init(5, 4, 6)),
    ExchangerRow(
        reason: "names no host can have", answer: answered(mx(5, "a b"), mx(5, "[192.0.2.1]"), mx(6, "\\000x")),
        status: .init(5, 4, 4)),
    ExchangerRow(
        reason: "the same host twice", answer: answered(mx(5, "a.x"), mx(6, "A.x"), mx(7, "b.x")),
        hosts: ["a.x", "b.x"]),
]

struct MailRouteTests {
    @Test(arguments: exchangerRows)
    func exchangers(row: ExchangerRow) {
        var generator = Fixed()
        let result = MailRoute.exchangers(of: "example.org", answer: row.answer, own: row.own, generator: &generator)
        switch result {
        case .success(let hosts): #expect(hosts == row.hosts && row.status == nil)
        case .failure(let failure):
            #expect(failure.status == row.status)
            #expect(failure.result == (failure.status.isPermanent ? .permanentFailure : .temporaryFailure))
        }
    }

    @Test func equalsAreShuffledAndTheRestStays() throws {
        let answer = DNSAnswer(.answered, records: (0..<15).map { mx($0 < 10 ? 10 : 20, "h\($0).x") })
        var orders: Set<[String]> = []
        var generator = Fixed()
        for _ in 0..<20 {
            let hosts = try MailRoute.exchangers(of: "example.org", answer: answer, own: [], generator: &generator)
                .get()
            #expect(Set(hosts.prefix(10)) == Set((0..<10).map { "h\($0).x" }))
            orders.insert(hosts)
        }
        #expect(orders.count > 15)
    }

    @Test func twentyHostsAreEnough() throws {
        let answer = DNSAnswer(.answered, records: (0..<100).map { mx(UInt16($0), "h\($0).x") })
        var generator = Fixed()
        let hosts = try MailRoute.exchangers(of: "example.org", answer: answer, own: [], generator: &generator).get()
        #expect(hosts == (0..<20).map { "h\($0).x" })
    }

    @Test(arguments: [
        ("192.0.2.1", ["192.0.2.1"]), ("[192.0.2.1]", ["192.0.2.1"]), ("[IPv6:2001:DB8:0::1]", ["2001:db8::1"]),
        ("[ipv6:::1]", ["::1"]), ("localhost", ["::1", "127.0.0.1"]), ("LocalHost", ["::1", "127.0.0.1"]),
    ])
    func needsNoDNS(domain: String, addresses: [String]) {
        #expect(
            MailRoute.withoutDNS(domain, prefersIPv4: false) == .hosts([MailHost(name: domain, addresses: addresses)]))
    }

    @Test(arguments: [
        "[192.0.2]", "[2001:db8::1]", "[IPv6:192.0.2.1]", "[x", "[]", "[", "[IPv6:]", "[192.0.2.1", "[é]",
    ])
    func noAddressLiteral(domain: String) {
        guard case .failed(let failure) = MailRoute.withoutDNS(domain, prefersIPv4: false) else {
            Issue.record("\(domain) was taken")
            return
        }
        #expect(failure.status == EnhancedStatusCode(5, 1, 2))
    }

    private func addresses(_ name: String, v6: Int, v4: Int) -> MailRoute.HostAnswers {
        MailRoute.HostAnswers(
            name: name,
            v6: DNSAnswer(
                .answered, records: (0..<v6).map { DNSRecord(owner: name, ttl: 1, value: .aaaa("2001:db8::\($0)")) }),
            v4: DNSAnswer(
                .answered, records: (0..<v4).map { DNSRecord(owner: name, ttl: 1, value: .a("192.0.2.\($0)")) }))
    }

    @Test(arguments: [
        (1, 1, false, ["2001:db8::0", "192.0.2.0"]), (1, 1, true, ["192.0.2.0", "2001:db8::0"]),
        (0, 2, false, ["192.0.2.0", "192.0.2.1"]),
    ])
    func familiesInOrder(v6: Int, v4: Int, prefersIPv4: Bool, expected: [String]) {
        let route = MailRoute.assemble(
            "d", [addresses("h", v6: v6, v4: v4)], prefersIPv4: prefersIPv4, isImplicit: false)
        #expect(route == .hosts([MailHost(name: "h", addresses: expected)]))
    }

    @Test(arguments: [(100, 100, 10, 10), (100, 3, 17, 3), (2, 100, 2, 18), (12, 12, 10, 10)])
    func twentyAddressesAreEnough(v6: Int, v4: Int, kept6: Int, kept4: Int) {
        let route = MailRoute.assemble("d", [addresses("h", v6: v6, v4: v4)], prefersIPv4: false, isImplicit: false)
        guard case .hosts(let hosts) = route, let list = hosts.first?.addresses else {
            Issue.record("no hosts")
            return
        }
        #expect(list.filter { $0.contains(":") }.count == kept6 && list.filter { $0.contains(".") }.count == kept4)
    }

    @Test(arguments: [
        (DNSAnswer(.noSuchName), DNSAnswer(.noSuchName), false, EnhancedStatusCode(5, 4, 4)),
        (DNSAnswer(.answered), DNSAnswer(.answered), true, EnhancedStatusCode(5, 1, 2)),
        (DNSAnswer(.answered), DNSAnswer(.serverFailure), true, EnhancedStatusCode(4, 4, 3)),
        (DNSAnswer(.noAnswer), DNSAnswer(.answered), false, EnhancedStatusCode(4, 4, 3)),
    ])
    func hostsWithoutAddresses(v6: DNSAnswer, v4: DNSAnswer, isImplicit: Bool, status: EnhancedStatusCode) {
        let host = MailRoute.HostAnswers(name: "h", v6: v6, v4: v4)
        let route = MailRoute.assemble("d", [host], prefersIPv4: false, isImplicit: isImplicit)
        guard case .failed(let failure) = route else {
            Issue.record("a route to nowhere")
            return
        }
        #expect(failure.status == status)
    }
}
