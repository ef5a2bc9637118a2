// Owns: what an address expands to, as a tree that tells each step. Refuses: finding it out (Expander), showing it
// (ExpansionReport).

import MailModel

/// Where one branch ends.
public enum ExpansionLeaf: Hashable, Sendable {
    /// Delivered here; the sub-address without its delimiter.
    case local(user: String, extension: String?)
    /// Delivered elsewhere, or matched again.
    case address(Mailbox)
    case file(String)
    case command(String)
    /// Nobody of that name.
    case unknownUser(String)
    case error(AliasError)
    /// What could not be asked, and why.
    case temporary(String)
    /// The same target stands elsewhere in the tree and gets one copy.
    case duplicate

    /// What a sender is told; nil where mail can go.
    public var refusal: AliasError? {
        switch self {
        case .local, .address, .duplicate: nil
        case .error(let error): error
        case .unknownUser(let user):
            AliasError(code: 550, status: EnhancedStatusCode(5, 1, 1), plain: "no such user: \(user)")
        case .temporary(let why): AliasError(code: 451, status: EnhancedStatusCode(4, 3, 0), plain: why)
        case .file:
            AliasError(
                code: 550, status: EnhancedStatusCode(5, 3, 3),
                plain: "delivery to files is not supported by this release of Pouch")
        case .command:
            AliasError(
                code: 550, status: EnhancedStatusCode(5, 3, 3),
                plain: "delivery to commands is not supported by this release of Pouch")
        }
    }
}

extension AliasError {
    /// For texts of our own: what is not printable ASCII becomes `?`, and the text is cut at its limit.
    init(code: Int, status: EnhancedStatusCode, plain text: String) {
        let printable = text.utf8.prefix(AliasValue.errorTextLimit).map {
            (32...126).contains($0) ? $0 : UInt8(ascii: "?")
        }
        self.init(code: code, status: status, text: String(decoding: printable, as: UTF8.self))
    }
}

public struct Expansion: Hashable, Sendable {
    /// What a step expands.
    public enum Subject: Hashable, Sendable {
        case address(Mailbox)
        case user(String)
        case include(String)
        case file(String)
        case command(String)
        case error(AliasError)
    }

    public struct Node: Hashable, Sendable {
        public var subject: Subject
        /// The node that gave this one; nil at the root.
        public var parent: Int?
        public var depth: Int
        public var children: [Int] = []
        /// The entry that gave the children, when a table did.
        public var entry: TableEntry?
        /// The action that applies; nil until it is known.
        public var action: String?
        /// The rule that gave the action, when one was asked for.
        public var rule: Rule?
        public var leaf: ExpansionLeaf?
        /// The domain that bare users belong to.
        public var domain: String
    }

    /// The root is the first.
    public internal(set) var nodes: [Node]

    /// The nodes as a reader goes through the tree: each before its children.
    public var order: [Int] {
        var order: [Int] = []
        var pending = nodes.isEmpty ? [] : [0]
        while let index = pending.popLast() {
            order.append(index)
            pending += nodes[index].children.reversed()
        }
        return order
    }

    /// Whether a node's action was, or would have been, chosen by the rules.
    public func asksRules(_ index: Int) -> Bool {
        let node = nodes[index]
        guard case .address = node.subject else { return false }
        return node.rule != nil || node.action == nil
    }

    /// A leaf that mail can go to.
    public struct Target: Hashable, Sendable {
        public var leaf: ExpansionLeaf
        /// The forward-path for this delivery.
        public var mailbox: Mailbox
        /// The action's name.
        public var action: String
    }

    /// Where mail goes, each once.
    public var targets: [Target] {
        order.compactMap { index in
            let node = nodes[index]
            guard let leaf = node.leaf, leaf.refusal == nil, let action = node.action else { return nil }
            switch leaf {
            case .local(let user, _):
                let mailbox: Mailbox? =
                    if case .address(let mailbox) = node.subject { mailbox } else {
                        Mailbox(localPart: Self.localPart(node.subject) ?? user, domain: node.domain)
                    }
                return mailbox.map { Target(leaf: leaf, mailbox: $0, action: action) }
            case .address(let mailbox): return Target(leaf: leaf, mailbox: mailbox, action: action)
            case .file, .command, .unknownUser, .error, .temporary, .duplicate: return nil
            }
        }
    }

    private static func localPart(_ subject: Subject) -> String? {
        if case .user(let user) = subject { user } else { nil }
    }

    /// What went wrong, in order; each with the node where it did.
    public var refusals: [(node: Int, error: AliasError)] {
        order.compactMap { index in nodes[index].leaf?.refusal.map { (index, $0) } }
    }

    /// What the sender is told when the recipient can't be taken: a temporary failure anywhere, since the tree may look
    /// otherwise when it is mended; else the first refusal when no target is left. nil takes the recipient; what was
    /// refused beside good targets is told by a DSN.
    public var refusal: AliasError? {
        let errors = refusals.map(\.error)
        if let temporary = errors.first(where: \.isTemporary) { return temporary }
        return targets.isEmpty ? errors.first : nil
    }

    /// sysexits(3) as mail-expand has them: 75 when something is temporary, 69 for other refusals, 67 when only users
    /// are unknown, 0.
    public var exitStatus: Int32 {
        let leaves = nodes.compactMap(\.leaf).filter { $0.refusal != nil }
        if leaves.contains(where: { $0.refusal?.isTemporary == true }) { return 75 }
        let unknown = { (leaf: ExpansionLeaf) in if case .unknownUser = leaf { true } else { false } }
        return leaves.isEmpty ? 0 : leaves.allSatisfy(unknown) ? 67 : 69
    }
}
