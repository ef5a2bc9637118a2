// Owns: printing the trees of addresses, and the status they come to. Refuses: expanding, JSON's form (TreeObject).

import CommandKit
import MailModel
import Routing

struct TreeReport {
    private let router: Router
    private let json: Bool
    private let why: Bool
    private var output = OutputLines()
    private var statuses: Set<Int32> = []

    /// - Parameter why: tells of each rule that was asked what it came to.
    init(_ router: Router, json: Bool, why: Bool) { (self.router, self.json, self.why) = (router, json, why) }

    mutating func add(_ facts: MatchFacts) throws {
        let expansion = router.expand(facts)
        statuses.insert(expansion.exitStatus)
        let (router, why) = (router, why)
        let verdicts = { (node: Int) in why ? router.verdicts(node, of: expansion, facts) : [] }
        guard !json else {
            return try output.add(TreeObject(expansion, why: why ? verdicts : nil).value.rendered)
        }
        for line in ExpansionText(expansion, router.configuration, verdicts: verdicts).lines {
            try output.add(EscapedText.plain(line))
        }
    }

    /// Tells of a line that is no address; the others count all the same.
    mutating func refuse(_ sentence: String) {
        Diagnostic.print(sentence)
        statuses.insert(ExitStatus.dataError.rawValue)
    }

    mutating func flush() throws { try output.flush() }

    mutating func finish() throws {
        try output.flush()
        // What may be otherwise later outweighs what is certain; a refusal outweighs a missing user.
        let order: [ExitStatus] = [.temporaryFailure, .unavailable, .noUser, .dataError]
        for status in order where statuses.contains(status.rawValue) { throw QuietExit(status) }
    }
}

extension Router {
    /// What the rules came to for a node that asked them; nothing for one that did not.
    func verdicts(_ node: Int, of expansion: Expansion, _ facts: MatchFacts) -> [RuleVerdict] {
        guard case .address(let mailbox) = expansion.nodes[node].subject, expansion.asksRules(node) else { return [] }
        return node == 0 ? explain(facts) : explain(facts, forwardedTo: mailbox)
    }
}
