// Owns: an expansion as lines for a person. Refuses: printing, JSON.

/// A tree, one line a node:
///
///     staff@example.org: action "local" (pouch.conf:9), "staff" in table aliases (/etc/aliases:3)
///     |- fred: user fred, maildir ~/Maildir
///     `- bob@example.net: action "out" (pouch.conf:10), relay by MX of example.net
///
/// With verdicts of rules, those stand below the address that asked for them.
public struct ExpansionText {
    private let expansion: Expansion
    private let configuration: Configuration
    private let verdicts: (Int) -> [RuleVerdict]

    /// - Parameter verdicts: what the rules came to for a node; nothing to show is empty.
    public init(
        _ expansion: Expansion, _ configuration: Configuration, verdicts: @escaping (Int) -> [RuleVerdict] = { _ in [] }
    ) { (self.expansion, self.configuration, self.verdicts) = (expansion, configuration, verdicts) }

    public var lines: [String] {
        expansion.nodes.isEmpty ? [] : lines(of: 0, first: "", below: "")
    }

    /// The depth is bounded by the Expander, so recursion is too.
    private func lines(of index: Int, first: String, below: String) -> [String] {
        let node = expansion.nodes[index]
        let facts = [routed(node), found(node), ended(node)].compactMap { $0 }
        var lines = [first + node.subject.description + (facts.isEmpty ? "" : ": " + facts.joined(separator: ", "))]
        let bar = node.children.isEmpty ? "   " : "|  "
        lines += verdicts(index).map { below + bar + Self.text($0) }
        for child in node.children {
            let isLast = child == node.children.last
            lines += self.lines(
                of: child, first: below + (isLast ? "`- " : "|- "), below: below + (isLast ? "   " : "|  "))
        }
        return lines
    }

    private static func text(_ verdict: RuleVerdict) -> String {
        let rule = "\(verdict.rule.place): \(verdict.rule)"
        return switch verdict.outcome {
        case .holds: "yes \(rule)"
        case .fails(let condition): "no  \(rule): not \(condition.text)"
        case .unknown(let why): "?   \(rule): \(why)"
        }
    }

    private func routed(_ node: Expansion.Node) -> String? {
        guard let rule = node.rule else { return nil }
        guard let action = node.action else { return "rule (\(rule.place))" }
        return "action \"\(action)\" (\(rule.place))"
    }

    private func found(_ node: Expansion.Node) -> String? {
        node.entry.map { "\"\($0.key)\" in \($0.place)" }
    }

    private func ended(_ node: Expansion.Node) -> String? {
        let action = node.action.flatMap { configuration.actions[$0] }
        return switch node.leaf {
        case nil: nil
        case .local(let user, let part):
            "user \(action?.user ?? user)" + (part.map { ", sub-address \($0)" } ?? "")
                + (action.map { ", \($0.nextHop(domain: node.domain))" } ?? "")
        case .address(let mailbox):
            "relay " + (action?.nextHop(domain: mailbox.domain) ?? "by MX of \(mailbox.domain)")
        case .duplicate: "stands above already, gets one copy"
        case .file, .command, .unknownUser, .error, .temporary:
            node.leaf?.refusal.map { $0.isTemporary ? "later: \($0.summary)" : "refused: \($0.summary)" }
        }
    }
}

extension Expansion.Subject: CustomStringConvertible {
    public var description: String {
        switch self {
        case .address(let mailbox): mailbox.description
        case .user(let name): name
        case .include(let path): ":include:\(path)"
        case .file(let path): path
        case .command(let command): "|\(command)"
        case .error(let error): "error:\(error.code) \(error.text)"
        }
    }
}
