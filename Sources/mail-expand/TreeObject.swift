// Owns: an expansion as JSON. Refuses: printing.

import CommandKit
import Routing

struct TreeObject {
    private let expansion: Expansion
    /// What the rules came to for a node; nil when nobody asked.
    private let why: ((Int) -> [RuleVerdict])?

    init(_ expansion: Expansion, why: ((Int) -> [RuleVerdict])?) { (self.expansion, self.why) = (expansion, why) }

    var value: JSONValue {
        let targets = expansion.targets.map { target -> JSONValue in
            ["address": .string("\(target.mailbox)"), "action": .string(target.action), "kind": kind(target.leaf)]
        }
        return [
            "address": .string(expansion.nodes.first?.subject.description ?? ""),
            "status": .int(Int64(expansion.exitStatus)), "targets": .array(targets), "tree": node(0),
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
    private func node(_ index: Int) -> JSONValue {
        let node = expansion.nodes[index]
        var members: [JSONValue.Member] = [.init("subject", .string(node.subject.description))]
        if let action = node.action { members.append(.init("action", .string(action))) }
        if let rule = node.rule { members.append(.init("rule", place(rule.file, rule.line))) }
        if let verdicts = why?(index), !verdicts.isEmpty {
            members.append(.init("why", .array(verdicts.map(verdict))))
        }
        if let entry = node.entry {
            members.append(.init("table", .string(entry.table)))
            members.append(.init("key", .string(entry.key)))
            members.append(.init("entry", place(entry.file, entry.line)))
        }
        if let leaf = node.leaf { members += end(leaf) }
        if !node.children.isEmpty { members.append(.init("children", .array(node.children.map(self.node)))) }
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

    private func verdict(_ verdict: RuleVerdict) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("rule", place(verdict.rule.file, verdict.rule.line)), .init("text", .string("\(verdict.rule)")),
        ]
        switch verdict.outcome {
        case .holds: members.append(.init("result", "holds"))
        case .fails(let condition):
            members += [.init("result", "fails"), .init("condition", .string(condition.text))]
        case .unknown(let why): members += [.init("result", "unknown"), .init("reason", .string(why))]
        }
        return .object(members)
    }

    private func place(_ file: String?, _ line: Int?) -> JSONValue {
        guard let file, let line else { return .null }
        return ["file": .string(file), "line": .int(Int64(line))]
    }
}
