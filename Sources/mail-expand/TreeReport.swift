// Owns: printing the trees of addresses, and the status they come to. Refuses: expanding.

import CommandKit
import MailModel
import Routing

struct TreeReport {
    let router: Router
    let facts: [MatchFacts]
    let json: Bool

    init(_ router: Router, facts: [MatchFacts], json: Bool) {
        (self.router, self.facts, self.json) = (router, facts, json)
    }

    func run() throws {
        var output = OutputLines()
        var statuses: Set<Int32> = []
        for facts in facts {
            let expansion = router.expand(facts)
            statuses.insert(expansion.exitStatus)
            if json {
                try output.add(object(expansion).rendered)
            } else {
                for line in ExpansionText(expansion, router.configuration).lines {
                    try output.add(EscapedText.plain(line))
                }
            }
        }
        try output.flush()
        // What may be otherwise later outweighs what is certain; a refusal outweighs a missing user.
        for status in [ExitStatus.temporaryFailure, .unavailable, .noUser] where statuses.contains(status.rawValue) {
            throw QuietExit(status)
        }
    }

    private func object(_ expansion: Expansion) -> JSONValue {
        let targets = expansion.targets.map { target -> JSONValue in
            ["address": .string("\(target.mailbox)"), "action": .string(target.action), "kind": kind(target.leaf)]
        }
        return [
            "address": .string(expansion.nodes.first?.subject.description ?? ""),
            "status": .int(Int64(expansion.exitStatus)), "targets": .array(targets), "tree": node(0, expansion),
        ]
    }

    private func kind(_ leaf: ExpansionLeaf) -> JSONValue {
        switch leaf {
        case .local: "local"
        case .address: "address"
        case .file: "file"
        case .command: "command"
        case .unknownUser: "unknown-user"
        case .error: "error"
        case .temporary: "temporary"
        case .duplicate: "duplicate"
        }
    }

    /// The depth is bounded by the Expander, so recursion is too.
    private func node(_ index: Int, _ expansion: Expansion) -> JSONValue {
        let node = expansion.nodes[index]
        var members: [JSONValue.Member] = [.init("subject", .string(node.subject.description))]
        if let action = node.action { members.append(.init("action", .string(action))) }
        if let rule = node.rule { members.append(.init("rule", place(rule.file, rule.line))) }
        if let entry = node.entry {
            members.append(.init("table", .string(entry.table)))
            members.append(.init("key", .string(entry.key)))
            members.append(.init("entry", place(entry.file, entry.line)))
        }
        if let leaf = node.leaf { members += end(leaf) }
        if !node.children.isEmpty {
            members.append(.init("children", .array(node.children.map { self.node($0, expansion) })))
        }
        return .object(members)
    }

    private func end(_ leaf: ExpansionLeaf) -> [JSONValue.Member] {
        var members = [JSONValue.Member("kind", kind(leaf))]
        if case .local(let user, let part) = leaf {
            members.append(.init("user", .string(user)))
            if let part { members.append(.init("extension", .string(part))) }
        }
        if let error = leaf.refusal {
            members.append(.init("code", .int(Int64(error.code))))
            members.append(.init("enhanced", .string("\(error.status)")))
            members.append(.init("text", .string(error.text)))
        }
        return members
    }

    private func place(_ file: String?, _ line: Int?) -> JSONValue {
        guard let file, let line else { return .null }
        return ["file": .string(file), "line": .int(Int64(line))]
    }
}
