// Owns: `mail-expand route`: rule, action and next hop of one address as it stands. Refuses: aliases (TreeReport), DNS.

import CommandKit
import Routing

struct RouteReport {
    let router: Router
    let facts: MatchFacts
    let json: Bool

    init(_ router: Router, facts: MatchFacts, json: Bool) {
        (self.router, self.facts, self.json) = (router, facts, json)
    }

    func run() throws {
        switch router.match(facts) {
        case .temporaryFailure(let why):
            throw CommandFailure(.temporaryFailure, "the rules can't be asked: \(why.hasSuffix(".") ? why : why + ".")")
        case .none:
            throw CommandFailure(.unavailable, "no rule takes mail for \(facts.recipient); it would be refused.")
        case .rule(let rule, _):
            try print(rule)
            if rule.outcome == .reject { throw QuietExit(.unavailable) }
        }
    }

    private func print(_ rule: Rule) throws {
        let rows = [("address", "\(facts.recipient)"), ("rule", "\(rule)"), ("line", rule.place)] + destination(rule)
        if json {
            let members = rows.map { JSONValue.Member($0.0, .string($0.1)) }
            return try StandardOutput.write(JSONValue.object(members).rendered + "\n")
        }
        var output = OutputLines()
        for (name, value) in rows { try output.add("\(name): \(EscapedText.plain(value))") }
        try output.flush()
    }

    private func destination(_ rule: Rule) -> [(String, String)] {
        guard case .action(let name) = rule.outcome, let action = router.configuration.actions[name] else { return [] }
        var rows = [("action", name), ("next-hop", action.nextHop(domain: facts.recipient.domain))]
        if case .relay(let relay) = action.method {
            rows.append(
                ("source", relay.sources.isEmpty ? "chosen by the system" : relay.sources.joined(separator: ", ")))
            rows.append(("helo", relay.helo ?? "the machine's name"))
            rows.append(("tls", "none: this release sends in clear"))
            if let sender = relay.mailFrom { rows.append(("mail-from", sender)) }
        }
        return rows
    }
}
