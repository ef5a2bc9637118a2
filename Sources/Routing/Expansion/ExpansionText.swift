// Owns: an expansion as lines for a person. Refuses: printing, JSON.

/// One line a node, indented by its depth:
///
///     staff@example.org: action "local" (pouch.conf:9), "staff" in table aliases (/etc/aliases:3)
///       fred: user fred, maildir ~/Maildir
///       bob@example.net: action "out" (pouch.conf:10), relay by MX of example.net
public struct ExpansionText {
    private let expansion: Expansion
    private let configuration: Configuration

    public init(_ expansion: Expansion, _ configuration: Configuration) {
        (self.expansion, self.configuration) = (expansion, configuration)
    }

    public var lines: [String] {
        expansion.order.map { index in
            let node = expansion.nodes[index]
            let facts = [routed(node), found(node), ended(node)].compactMap { $0 }
            let text = facts.isEmpty ? "" : ": " + facts.joined(separator: ", ")
            return String(repeating: "  ", count: node.depth) + node.subject.description + text
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
