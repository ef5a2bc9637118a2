import Testing

@testable import Routing

@Suite struct GrammarTests {
    @Test(arguments: Fixture.names("broken", suffix: ".conf"))
    func brokenConfigurationSaysWhy(name: String) throws {
        let expected = try Fixture.text("broken/\(name.dropLast(5)).expected")
        #expect(throws: ConfigurationError.self) { try Fixture.parse(name, in: "broken") }
        do { _ = try Fixture.parse(name, in: "broken") } catch {
            #expect("\(error)\n" == expected)
        }
    }

    @Test func thereAreEnoughFixtures() {
        #expect(Fixture.names("broken", suffix: ".conf").count >= 100)
        #expect(Fixture.names("good", suffix: ".conf").count >= 12)
    }

    @Test(arguments: Fixture.names("good", suffix: ".conf"))
    func goodConfigurationIsTaken(name: String) throws { _ = try Fixture.parse(name, in: "good") }

    /// What we show people works.
    @Test(arguments: Fixture.names(Fixture.examples, suffix: ".conf"))
    func exampleIsTaken(name: String) throws { _ = try Fixture.parse(name, in: Fixture.examples) }

    @Test func thereAreTwelveExamples() { #expect(Fixture.names(Fixture.examples, suffix: ".conf").count == 13) }

    @Test func everyOptionArrives() throws {
        let configuration = try Fixture.parse("every-option.conf", in: "good")
        #expect(configuration.queueDirectory == "/srv/pouch")
        #expect(configuration.queueTTL == .seconds(5 * 86400 + 12 * 3600))
        #expect(configuration.bounceWarnIntervals == [.seconds(3600), .seconds(4 * 3600), .seconds(86400)])
        #expect(configuration.maxMessageSize == 20 << 20)
        #expect(configuration.maxMails == 50 && configuration.maxRecipients == 200)
        #expect(configuration.subaddressDelimiter == "-")
        #expect(configuration.resolver == .init(address: "127.0.0.1", port: 5353))
        #expect(configuration.prefersIPv4)
        #expect(configuration.retryPauses == [60, 300, 900, 3600, 14400].map { .seconds($0) })
        #expect(configuration.agentSocket == "/run/other/agent.sock")
        #expect(configuration.superviseUsers == .accounts(listener: "smtpd", relay: "smtpq"))
        #expect(
            configuration.listeners == [
                Listener(
                    place: .internet(address: "0.0.0.0", port: 587), hostname: "mail.example.org", tag: "submission"),
                Listener(place: .internet(address: "::", port: 25)),
            ])
    }

    @Test func relaysAndLMTPArrive() throws {
        let configuration = try Fixture.parse("relay-all.conf", in: "good")
        var relay = Action.Relay()
        relay.hosts = [
            RelayHost(host: "one.example.org"), RelayHost(scheme: .smtpNoTLS, host: "two.example.org", port: 587),
            RelayHost(host: "2001:db8::1", port: 2525),
        ]
        relay.helo = "mail.example.org"
        relay.sources = ["192.0.2.10", "2001:db8::10"]
        relay.mailFrom = "news@example.org"
        #expect(configuration.actions["smarthost"]?.method == .relay(relay))
        let dovecot = configuration.actions["dovecot"]
        #expect(dovecot?.method == .lmtp(destination: "/run/dovecot/lmtp", rcptTo: true))
        #expect(dovecot?.ttl == .seconds(2 * 86400))
        #expect(
            configuration.tables[dovecot?.aliasTable ?? ""]
                == .mapping([TableDefinition.Entry(key: "root", value: "fred")]))
        #expect(configuration.rules.map(\.line) == [5, 6, 7, 8, 9, 10])
        #expect(
            configuration.rules[1].conditions == [
                .init(.fromLocal), .init(.forDomain(.values(["example.org"])), negated: true),
            ])
        #expect(configuration.rules[5].outcome == .reject)
    }

    @Test func macrosAreReadAgain() throws {
        let configuration = try Fixture.parse("macros.conf", in: "good")
        #expect(configuration.listeners == [Listener(place: .internet(address: "127.0.0.1", port: 2525))])
        #expect(configuration.tables["inside"] == .list(["192.0.2.0/24", "198.51.100.0/24"]))
        #expect(configuration.rules.first?.conditions.first?.test == .fromSource(.values(["127.0.0.1", "::1"])))
    }

    @Test func bracesSpanLines() throws {
        let configuration = try Fixture.parse("braces-over-lines.conf", in: "good")
        #expect(configuration.tableOrigins["vusers"]?.entryLines == [3, 5, 6])
        #expect(configuration.tables["domains"] == .list(["example.org", "example.net", "*.example.com"]))
        #expect(configuration.actions["virtual"]?.user == "vmail")
    }

    @Test func whatARuleLeavesOutIsLocal() throws {
        let rule = try parse("action a relay\nmatch action a").rules.first
        #expect(rule?.conditions.map(\.test) == [.fromLocal, .forLocal])
        let conditions = try Fixture.parse("conditions.conf", in: "good").rules
        #expect(
            conditions[0].conditions.map(\.test) == [
                .fromMailFrom(.named("senders")), .forRecipient(.values(["fred@example.org"])),
            ])
        #expect(conditions[1].conditions.prefix(2).map(\.test) == [.fromLocal, .forLocal])
    }

    @Test func everyConditionArrives() throws {
        let rules = try Fixture.parse("conditions-in-full.conf", in: "good").rules
        let texts = rules.map(\.description)
        #expect(texts.contains("match auth regex { \"^fred$\", \"^wilma$\" } for any action \"a\""))
        #expect(texts.contains("match !from rdns for any reject"))
        #expect(texts.contains("match !auth \"fred\" tls from any for any action \"a\""))
        #expect(texts.contains("match for local helo regex { \"^\\[\", \"\\.local$\" } from any reject"))
        #expect(rules.count == 29)
    }

    @Test func optionsStandInAnyOrder() throws {
        let configuration = try Fixture.parse("options-in-any-order.conf", in: "good")
        #expect(configuration.listeners.map(\.place) == [.internet(address: "::1", port: 2525)])
        #expect(configuration.listeners.first?.mayBeAbsent == false)
        #expect(configuration.actions["a"]?.user == "vmail" && configuration.actions["a"]?.ttl == .seconds(86400))
        #expect(configuration.actions["b"]?.ttl == .seconds(7200))
    }

    @Test func quotesGoOnBehindABackslash() throws {
        let configuration = try Fixture.parse("quotes-over-lines.conf", in: "good")
        #expect(configuration.queueDirectory == "/srv/pouch")
        #expect(configuration.tables["aliases"] == .mapping([.init(key: "root", value: "fred, wilma")]))
    }

    @Test func listsNeedNoCommas() throws {
        let configuration = try Fixture.parse("lists-without-commas.conf", in: "good")
        #expect(configuration.tables["domains"] == .list(["example.org", "example.net", "*.example.com"]))
        #expect(
            configuration.tables["aliases"]
                == .mapping([
                    .init(key: "root", value: "fred"), .init(key: "staff", value: "fred, wilma"),
                    .init(key: "a b", value: "wilma"),
                ]))
    }

    @Test func localhostIsBothLoopbacks() throws {
        let listeners = try parse("listen on localhost port 2525").listeners
        #expect(listeners.map(\.mayBeAbsent) == [false, true])
        #expect(
            listeners.map(\.place) == [
                .internet(address: "127.0.0.1", port: 2525), .internet(address: "::1", port: 2525),
            ])
    }

    @Test func theAgentsSocketFollowsTheQueue() throws {
        #expect(try parse("").agentSocket == "/run/pouch/agent.sock")
        #expect(try parse("queue directory \"/a\"").agentSocket == "/run/pouch/agent.sock")
        #expect(try parse("queue directory \"/a\"\nsupervise user none").agentSocket == "/a/run/agent.sock")
        #expect(try parse("", uid: 1000).agentSocket == "/home/fred/.local/state/pouch/run/agent.sock")
        #expect(try parse("", uid: 1000).superviseUsers == .none)
    }

    @Test func aPassphraseNeverStandsInAnError() {
        for text in [
            "queue encryption key \"hunter2hunter2\" x", "queue\tencryption hunter2 x",
            "queue encryption \\\n  key hunter2 x",
            "queue encryption key 'hunter2", "srs key hunter2",
        ] {
            let error = mistake(text)
            #expect(error != nil && !"\(error?.description ?? "")".contains("hunter2"), "\(text)")
        }
    }

    @Test func theCaretStandsUnderTabs() {
        #expect(mistake("\tqueue\tdirctory")?.lines.suffix(2) == [" queue dirctory", "       ^"])
    }

    @Test func aLongLineIsShortened() {
        let error = mistake("table a { " + String(repeating: "x ,", count: 3000) + " = }")
        #expect(error.map { $0.sourceLine.count <= 200 && $0.description.utf8.count < 600 } == true)
    }

    @Test func hostileTextIsBounded() {
        let value = String(repeating: "a ", count: 2000)
        let uses = String(repeating: "listen $m\n", count: 1)
        #expect(mistake("m = \"\(value)\"\n\(uses)") != nil)
        #expect(mistake("m = \"\(String(repeating: "a", count: 5000))\"")?.message.contains("longer than 4096") == true)
        let bomb =
            "m = \"\(String(repeating: "a,", count: 2000))\"\ntable t { \(String(repeating: "$m ", count: 2000)) }"
        #expect(mistake(bomb) != nil)
        #expect(mistake(String(repeating: "{", count: 100_000)) != nil)
        #expect(mistake(String(repeating: "\\\n", count: 100_000)) == nil)
        #expect(mistake("table t { " + String(repeating: "x", count: 100_000) + " }") == nil)
    }

    @Test func includesAreBounded() {
        let read = { (path: String) throws(UnreadableFile) -> String in "include \"x\(path)\"" }
        #expect(throws: ConfigurationError.self) {
            try Configuration.parse(text: "include \"a\"", path: "c", readInclude: read)
        }
        let wide = { (path: String) throws(UnreadableFile) -> String in
            path.utf8.count > 14 ? "" : "include \"\(path)0\"\ninclude \"\(path)1\""
        }
        #expect(throws: ConfigurationError.self) {
            try Configuration.parse(text: "include \"a\"", path: "c", readInclude: wide)
        }
    }

    @Test(
        arguments: [
            ("30s", 30), ("4d", 345_600), ("1h30m", 5400), ("", nil), ("4", nil), ("d", nil), ("-1s", nil), ("1w", nil),
            ("99999999999d", nil), ("٣s", nil),
        ] as [(String, Int?)])
    func durations(text: String, seconds: Int?) { #expect(Values.duration(text) == seconds.map { .seconds($0) }) }

    @Test(
        arguments: [
            ("35M", 36_700_160), ("1k", 1024), ("7", 7), ("1G", 1 << 30), ("", nil), ("M", nil), ("1T", nil),
            ("999999999999999999G", nil), ("9999999999999999999", nil),
        ] as [(String, Int?)])
    func sizes(text: String, octets: Int?) { #expect(Values.size(text) == octets) }
}
