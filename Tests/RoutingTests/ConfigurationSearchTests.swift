import Testing

@testable import Routing

@Suite struct ConfigurationSearchTests {
    @Test func theOrderOfSearch() {
        let decide = ConfigurationSearch.decide
        #expect(decide("/a", "/b", true).path == "/a")
        #expect(decide(nil, "/b", true).origin == .environment)
        #expect(decide(nil, "", true).path == "/etc/pouch/pouch.conf")
        #expect(decide(nil, nil, false).origin == .builtIn)
    }

    @Test func aFileThatIsNamedMustBeThere() {
        let facts = EnvironmentFacts(uid: 1000, configurationVariable: "/nonexistent/pouch.conf")
        #expect(throws: ConfigurationError.self) { try Configuration.locate(option: nil, facts: facts) }
        #expect(throws: ConfigurationError.self) { try Configuration.locate(option: "/", facts: facts) }
        #expect(throws: ConfigurationError.self) { try Configuration.locate(option: "/dev/zero", facts: facts) }
    }

    @Test(arguments: [
        (EnvironmentFacts(uid: 0), "/var/spool/pouch"),
        (EnvironmentFacts(uid: 7, home: "/h"), "/h/.local/state/pouch"),
        (EnvironmentFacts(uid: 7, home: "/h", stateHome: "/s"), "/s/pouch"),
        (EnvironmentFacts(uid: 7, home: "/h", stateHome: "relative"), "/h/.local/state/pouch"),
        (EnvironmentFacts(uid: 7), "/var/spool/pouch"),
        (EnvironmentFacts(uid: 7, home: "/h", stateDirectory: "/d"), "/d"),
    ])
    func theDefaultSpool(facts: EnvironmentFacts, path: String) {
        #expect(Configuration.builtInDefault(facts).queueDirectory == path)
    }
}
