import MailModel
import SMTPProtocol
import Testing

@testable import Transport

@Suite(.timeLimit(.minutes(2)))
struct ResolverTests {
    private func withResolver(
        _ script: @escaping @Sendable (String, UInt16, [UInt8]) -> [[UInt8]],
        _ body: (Resolver, FakeDNS) async throws -> Void
    ) async throws {
        let dns = try FakeDNS(script)
        let resolver = Resolver(server: dns.server, timeoutSeconds: 1, attempts: 1)
        try await body(resolver, dns)
        await resolver.shutdown()
        dns.stop()
    }

    @Test func addressesHaveNames() async throws {
        let six = "1." + String(repeating: "0.", count: 23) + "8.b.d.0.1.0.0.2.ip6.arpa"
        try await withResolver { name, type, question in
            switch (name, type) {
            case ("7.2.0.192.in-addr.arpa", 12):
                [
                    DNSPacket.answer(
                        to: question,
                        [
                            .init(owner: name, data: .cname("7.0/25.2.0.192.in-addr.arpa")),
                            .init(owner: "7.0/25.2.0.192.in-addr.arpa", data: .ptr("Mail.Example.org")),
                        ])
                ]
            case (six, 12): [DNSPacket.answer(to: question, [.init(owner: name, data: .ptr("six.example.org"))])]
            case ("9.2.0.192.in-addr.arpa", 12):
                [DNSPacket.answer(to: question, [.init(owner: name, data: .ptr("not a name"))])]
            case ("2.2.0.192.in-addr.arpa", 12): [DNSPacket.answer(to: question, code: 2)]
            default: [DNSPacket.answer(to: question, code: 3)]
            }
        } _: { resolver, _ in
            #expect(await resolver.hostName(of: "192.0.2.7") == .name("Mail.Example.org"))
            #expect(await resolver.hostName(of: "2001:db8::1") == .name("six.example.org"))
            #expect(await resolver.hostName(of: "192.0.2.8") == .none)
            #expect(await resolver.hostName(of: "192.0.2.9") == .none)
            #expect(await resolver.hostName(of: "192.0.2.2") == .unknown("the name server reported a failure"))
            #expect(await resolver.hostName(of: "mail.example.org") == .none)
        }
    }

    @Test func mailGoesByMX() async throws {
        try await withResolver { name, type, question in
            switch (name, type) {
            case ("example.org", 15):
                [
                    DNSPacket.answer(
                        to: question,
                        [
                            .init(owner: "example.org", data: .mx(20, "second.example.org")),
                            .init(owner: "example.org", data: .mx(10, "first.example.org")),
                        ])
                ]
            case ("first.example.org", 1):
                [DNSPacket.answer(to: question, [.init(owner: name, data: .a([192, 0, 2, 1]))])]
            case ("first.example.org", 28):
                [
                    DNSPacket.answer(
                        to: question,
                        [.init(owner: name, data: .aaaa([0x20, 1, 0xd, 0xb8] + Array(repeating: 0, count: 11) + [1]))])
                ]
            case ("second.example.org", 1):
                [
                    DNSPacket.answer(
                        to: question,
                        [
                            .init(owner: name, data: .cname("real.example.net")),
                            .init(owner: "real.example.net", data: .a([192, 0, 2, 2])),
                        ])
                ]
            default: [DNSPacket.answer(to: question)]
            }
        } _: { resolver, dns in
            let expected = MailRoute.hosts([
                MailHost(name: "first.example.org", addresses: ["2001:db8::1", "192.0.2.1"]),
                MailHost(name: "second.example.org", addresses: ["192.0.2.2"]),
            ])
            #expect(await resolver.mailRoute(for: "example.org") == expected)
            let first = dns.questions.count
            #expect(await resolver.mailRoute(for: "EXAMPLE.org") == expected)
            // Only the empty answer, for which no time was named, is asked for again.
            #expect(dns.questions.count - first <= 1)
        }
    }

    @Test(arguments: [
        ("nxdomain", UInt8(3), EnhancedStatusCode(5, 1, 2)), ("servfail", 2, EnhancedStatusCode(4, 4, 3)),
        ("refused", 5, EnhancedStatusCode(4, 4, 3)), ("nothing", 0, EnhancedStatusCode(5, 1, 2)),
    ])
    func replyCodes(name: String, code: UInt8, status: EnhancedStatusCode) async throws {
        try await withResolver { _, _, question in
            [DNSPacket.answer(to: question, code: code)]
        } _: { resolver, _ in
            guard case .failed(let failure) = await resolver.mailRoute(for: "\(name).example") else {
                Issue.record("a route to nowhere")
                return
            }
            #expect(failure.status == status)
        }
    }

    @Test func eachOutcomeIsToldApart() async throws {
        try await withResolver { name, _, question in
            switch name {
            case "servfail.example": [DNSPacket.answer(to: question, code: 2)]
            case "nxdomain.example": [DNSPacket.answer(to: question, code: 3)]
            case "nodata.example": [DNSPacket.answer(to: question)]
            case "truncated.example": [DNSPacket.answer(to: question, truncated: true)]
            case "garbage.example": [[1, 2, 3], Array(repeating: 0xff, count: 40)]
            case "wrongid.example":
                [
                    DNSPacket.answer(
                        to: [question[0] ^ 1] + question.dropFirst(), [.init(owner: name, data: .a([1, 2, 3, 4]))])
                ]
            case "badrecord.example":
                [DNSPacket.answer(to: question, [.init(owner: name, data: .raw(1, [1, 2, 3]))])]
            default: []
            }
        } _: { resolver, _ in
            #expect(await resolver.ask("servfail.example", .a).outcome == .serverFailure)
            #expect(await resolver.ask("nxdomain.example", .a).outcome == .noSuchName)
            #expect(await resolver.ask("nodata.example", .a) == DNSAnswer(.answered))
            #expect(await resolver.ask("badrecord.example", .a).outcome == .malformed)
            let tooLong = Array(repeating: String(repeating: "x", count: 63), count: 5).joined(separator: ".")
            #expect(await resolver.ask(tooLong, .a).outcome == .badName)
            // Nobody serves TCP there; and what is no answer to the question counts as silence.
            for name in ["truncated", "garbage", "wrongid", "silent"] {
                #expect(await resolver.ask("\(name).example", .a).outcome == .noAnswer)
            }
        }
    }

    @Test func aNoIsKeptAsLongAsTheZoneSays() async throws {
        try await withResolver { name, _, question in
            let keeps = name == "kept.example"
            return [
                DNSPacket.answer(
                    to: question, code: 3,
                    authority: keeps ? [.init(owner: "example", ttl: 600, data: .soa(minimum: 60))] : [])
            ]
        } _: { resolver, dns in
            for _ in 0..<3 {
                #expect(await resolver.ask("kept.example", .mx) == DNSAnswer(.noSuchName, negativeTTL: 60))
                #expect(await resolver.ask("other.example", .mx) == DNSAnswer(.noSuchName))
            }
            #expect(dns.questions.filter { $0 == "kept.example 15" }.count == 1)
            #expect(dns.questions.filter { $0 == "other.example 15" }.count == 3)
        }
    }

    @Test func anIPv6ServerThatIsNotThere() async {
        let resolver = Resolver(server: .init(address: "::1", port: 9), timeoutSeconds: 1, attempts: 1)
        #expect(await resolver.ask("example.org", .a).outcome == .noAnswer)
        await resolver.shutdown()
        #expect(await resolver.ask("example.org", .a).outcome == .noResolver)
    }

    @Test(arguments: ["", "exa mple.org", "-x.org", "bücher.example", "a..b", "x\0y"])
    func noDomainNoQuestion(domain: String) async throws {
        try await withResolver { _, _, _ in
            []
        } _: { resolver, dns in
            guard case .failed(let failure) = await resolver.mailRoute(for: domain) else {
                Issue.record("\(domain) has a route")
                return
            }
            #expect(failure.result == .permanentFailure && dns.questions.isEmpty)
        }
    }

    /// A packet damaged in one byte, or cut, is read as something or refused; it never harms.
    @Test func damagedPackets() {
        let whole = DNSPacket.answer(
            to: DNSPacket.question("example.org", type: 15),
            [
                .init(owner: "example.org", data: .cname("b.example.org")),
                .init(owner: "b.example.org", data: .mx(10, "mx.example.org")),
                .init(owner: "b.example.org", data: .aaaa(Array(repeating: 7, count: 16))),
            ], authority: [.init(owner: "example", ttl: 600, data: .soa(minimum: 60))])
        func read(_ bytes: [UInt8]) -> DNSAnswer { bytes.withUnsafeBufferPointer { DNSQuestion.read($0) } }
        #expect(read(whole).records.count == 3)
        for index in whole.indices {
            _ = read(Array(whole[..<index]))
            for value in [UInt8(0), 1, 0x3f, 0x7f, 0xc0, 0xff] {
                var damaged = whole
                damaged[index] = value
                #expect(read(damaged).records.count <= DNSQuestion.recordLimit)
            }
        }
    }
}

struct DNSCacheTests {
    private let start = ContinuousClock.now
    private func key(_ name: String) -> DNSCache.Key { DNSCache.Key(name: name, kind: .a) }
    private func answer(_ ttl: UInt32) -> DNSAnswer {
        DNSAnswer(.answered, records: [DNSRecord(owner: "x", ttl: ttl, value: .a("192.0.2.1"))])
    }

    @Test func anAnswerLivesAsLongAsItsShortestRecord() {
        var cache = DNSCache()
        cache.keep(answer(10), for: key("x"), now: start)
        #expect(cache.answer(for: key("x"), now: start + .seconds(9)) == answer(10))
        #expect(cache.answer(for: key("x"), now: start + .seconds(10)) == nil)
        #expect(cache.count == 0)
    }

    @Test(arguments: [DNSAnswer.Outcome.serverFailure, .noAnswer, .malformed, .noResolver])
    func failuresAreNotKept(outcome: DNSAnswer.Outcome) {
        var cache = DNSCache()
        cache.keep(DNSAnswer(outcome, negativeTTL: 60), for: key("x"), now: start)
        #expect(cache.count == 0)
    }

    @Test func itStaysWithinItsBounds() {
        var cache = DNSCache(capacity: 100)
        for number in 0..<10_000 { cache.keep(answer(.max), for: key("\(number)"), now: start) }
        #expect(cache.count <= 100)
        // Even the longest TTL ends after a day.
        #expect(cache.answer(for: key("9999"), now: start) != nil)
        #expect(cache.answer(for: key("9999"), now: start + .seconds(86400)) == nil)
    }
}
