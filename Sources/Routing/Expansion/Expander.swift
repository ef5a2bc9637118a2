// Owns: expanding an address by aliases, virtual tables and rules, step by step. Refuses: every lookup: it asks, and is
// answered.
//
//     next() -> question -> answer(...) -> next() -> ... -> nil: `expansion` is complete
//
// A node goes through: route (which action?), virtual or alias (which targets?), user (is there one?). An address that
// an alias gave is routed by the rules again, as from a local sender.

import MailModel

public struct Expander {
    /// Levels of targets below the address asked for. Nobody's aliases are nested deeper by intention.
    public static let depthLimit = 10
    /// Nodes of the whole tree.
    public static let widthLimit = 1000
    /// For whoever answers: a tree that takes longer is given up for now.
    public static let timeLimit = Duration.seconds(60)

    public enum Question: Hashable, Sendable {
        /// The rule and action for an address; `isNested` when an alias gave it.
        case route(Mailbox, isNested: Bool)
        /// The targets of the first key that has any.
        case targets(table: String, keys: [String])
        /// Whether there is such a user; nil asks the system.
        case user(table: String?, name: String)
        /// The targets in a file.
        case include(String)
    }

    public enum Answer: Hashable, Sendable {
        case route(Action, Rule?)
        /// A rule rejects, or none holds.
        case refused(Rule?)
        case targets([AliasTarget], TableEntry?)
        /// The user exists.
        case exists
        case notFound
        case temporaryFailure(String)
    }

    public private(set) var expansion: Expansion
    private let delimiter: Character
    private var actions: [String: Action] = [:]
    /// Nodes still to be worked on; the last first, so that the tree grows in the order of its lines.
    private var pending: [Int] = [0]
    private var waiting: Waiting?
    /// Names of users and addresses that were expanded, and targets that get a copy.
    private var seen: Set<String> = []
    private var keys: [Int: [String]] = [:]

    private enum Waiting {
        case route(Int)
        case virtual(Int)
        case alias(Int, name: String)
        case user(Int, name: String, rest: [String], local: String)
        case include(Int)
    }

    /// - Parameters:
    ///   - action: nil asks the rules first.
    ///   - delimiter: of sub-addresses, `smtp sub-addr-delim`.
    public init(_ recipient: Mailbox, action: Action? = nil, delimiter: Character = "+") {
        self.delimiter = delimiter
        let root = Expansion.Node(
            subject: .address(recipient), parent: nil, depth: 0, action: action?.name, domain: recipient.domain)
        expansion = Expansion(nodes: [root])
        if let action { actions[action.name] = action }
    }

    /// What must be looked up next; nil when the expansion is complete. Asking twice gives the same question.
    public mutating func next() -> Question? {
        while waiting == nil, let node = pending.popLast() { begin(node) }
        switch waiting {
        case nil: return nil
        case .route(let node):
            guard case .address(let mailbox) = expansion.nodes[node].subject else { return nil }
            return .route(mailbox, isNested: node > 0)
        case .virtual(let node):
            guard case .address(let mailbox) = expansion.nodes[node].subject else { return nil }
            return .targets(table: action(node)?.virtualTable ?? "", keys: virtualKeys(mailbox))
        case .alias(let node, let name):
            return .targets(table: action(node)?.aliasTable ?? "", keys: names(name.lowercased()))
        case .user(let node, let name, _, _):
            // The account that gets everything is the system's, whoever the recipients are.
            let action = action(node)
            return .user(table: action?.user == nil ? action?.userTable : nil, name: name)
        case .include(let node):
            guard case .include(let path) = expansion.nodes[node].subject else { return nil }
            return .include(path)
        }
    }

    /// Ends every branch that is still open, as nobody will answer in time.
    public mutating func giveUp(_ why: String) {
        while next() != nil { answer(.temporaryFailure(why)) }
    }

    /// Answers the question of the last `next()`; without one, nothing happens.
    public mutating func answer(_ answer: Answer) {
        guard let state = waiting else { return }
        waiting = nil
        let node =
            switch state {
            case .route(let node), .virtual(let node), .include(let node), .alias(let node, _),
                .user(let node, _, _, _):
                node
            }
        if case .temporaryFailure(let why) = answer { return end(node, .temporary(why)) }
        switch (state, answer) {
        case (.route, .route(let action, let rule)):
            actions[action.name] = action
            expansion.nodes[node].action = action.name
            expansion.nodes[node].rule = rule
            applyAction(node)
        case (.route, .refused(let rule)):
            expansion.nodes[node].rule = rule
            end(
                node,
                refuse(
                    EnhancedStatusCode(5, 7, 1),
                    rule == nil ? "no rule takes mail for this address" : "rejected by a rule"))
        case (.virtual, .targets(let targets, let entry)), (.alias, .targets(let targets, let entry)),
            (.include, .targets(let targets, let entry)):
            add(targets, entry, to: node)
        case (.virtual, _): end(node, .unknownUser(described(node)))
        case (.alias(_, let name), _): deliver(node, name)
        case (.user(_, let name, _, let local), .exists): finishUser(node, name, local)
        case (.user(_, _, let rest, let local), _): askUser(node, rest, local)
        case (.include, _): end(node, .temporary("the included file does not exist"))
        case (.route, _): end(node, .temporary("the rules gave no answer"))
        }
    }

    // MARK: Steps

    private mutating func begin(_ node: Int) {
        switch expansion.nodes[node].subject {
        case .address(let mailbox):
            // An address that names itself is delivered here, as a user of the action that gave it.
            if let parent = giver(node), keys[parent]?.contains(Self.key(mailbox)) == true {
                return deliver(node, mailbox.localPart)
            }
            guard enter(node, Self.key(mailbox)) else { return }
            if expansion.nodes[node].action == nil { waiting = .route(node) } else { applyAction(node) }
        case .user(let name): beginUser(node, name)
        case .include(let path):
            guard enter(node, "include \(path)") else { return }
            waiting = .include(node)
        case .file(let path): endOnce(node, .file(path), "file \(path)")
        case .command(let command): endOnce(node, .command(command), "command \(command)")
        case .error(let error): end(node, .error(error))
        }
    }

    /// An address whose action is known.
    private mutating func applyAction(_ node: Int) {
        guard case .address(let mailbox) = expansion.nodes[node].subject, let action = action(node) else { return }
        if case .relay = action.method { return end(node, .address(mailbox)) }
        if action.virtualTable != nil {
            waiting = .virtual(node)
        } else {
            beginUser(node, mailbox.localPart)
        }
    }

    private mutating func beginUser(_ node: Int, _ name: String) {
        let key = "user \(expansion.nodes[node].action ?? "") \(name.lowercased())"
        // A user who is his own alias gets the mail.
        if let parent = giver(node), keys[parent]?.contains(key) == true { return deliver(node, name) }
        guard enter(node, key) else { return }
        if action(node)?.aliasTable != nil { waiting = .alias(node, name: name) } else { deliver(node, name) }
    }

    /// The end of the aliases: a user of this machine, if there is one.
    private mutating func deliver(_ node: Int, _ name: String) {
        guard let action = action(node) else { return end(node, .temporary("no action is known")) }
        switch action.method {
        case .expandOnly:
            end(
                node,
                refuse(EnhancedStatusCode(5, 2, 1), "the action \(action.name) delivers only what an alias sends on"))
        case .forwardOnly:
            end(node, refuse(EnhancedStatusCode(5, 2, 1), "the action \(action.name) delivers only to other addresses"))
        case .maildir, .lmtp, .relay:
            let names = action.user.map { [$0] } ?? names(name.lowercased())
            askUser(node, names, name)
        }
    }

    private mutating func askUser(_ node: Int, _ names: [String], _ local: String) {
        guard let first = names.first else { return end(node, .unknownUser(local)) }
        waiting = .user(node, name: first, rest: Array(names.dropFirst()), local: local)
    }

    /// A name that is a user as a whole has no sub-address.
    private mutating func finishUser(_ node: Int, _ name: String, _ local: String) {
        let shared = action(node)?.user != nil
        let parts = !shared && name == local.lowercased() ? (name: local, extension: nil) : split(local)
        let leaf = ExpansionLeaf.local(user: parts.name.lowercased(), extension: parts.extension)
        // Where all mail goes to one account, the domain is part of who gets it.
        let place = shared ? expansion.nodes[node].domain.lowercased() : ""
        endOnce(node, leaf, "local \(expansion.nodes[node].action ?? "") \(local.lowercased()) \(place)")
    }

    private mutating func add(_ targets: [AliasTarget], _ entry: TableEntry?, to node: Int) {
        expansion.nodes[node].entry = entry
        guard !targets.isEmpty else {
            return end(node, refuse(EnhancedStatusCode(5, 2, 4), "the list is empty"))
        }
        guard expansion.nodes[node].depth < Self.depthLimit else {
            return end(node, refuse(EnhancedStatusCode(5, 2, 4), "aliases are nested deeper than \(Self.depthLimit)"))
        }
        guard expansion.nodes.count + targets.count <= Self.widthLimit else {
            return end(
                node, refuse(EnhancedStatusCode(5, 2, 4), "the address expands to more than \(Self.widthLimit) targets")
            )
        }
        let first = expansion.nodes.count
        for target in targets { expansion.nodes.append(child(target, of: node)) }
        let children = first..<expansion.nodes.count
        expansion.nodes[node].children = Array(children)
        pending += children.reversed()
    }

    private func child(_ target: AliasTarget, of node: Int) -> Expansion.Node {
        let parent = expansion.nodes[node]
        var child = Expansion.Node(
            subject: .user(""), parent: node, depth: parent.depth + 1, action: parent.action, domain: parent.domain)
        switch target {
        case .user(let name): child.subject = .user(name)
        case .file(let path): child.subject = .file(path)
        case .command(let command): child.subject = .command(command)
        case .include(let path): child.subject = .include(path)
        case .error(let error): child.subject = .error(error)
        case .address(let mailbox):
            (child.subject, child.domain) = (.address(mailbox), mailbox.domain)
            // An address naming itself keeps the action; any other is routed anew.
            let isSelf = keys[giver(of: node)]?.contains(Self.key(mailbox)) ?? false
            if !isSelf { child.action = nil }
        }
        return child
    }

    // MARK: Ends

    private mutating func end(_ node: Int, _ leaf: ExpansionLeaf) { expansion.nodes[node].leaf = leaf }

    private mutating func endOnce(_ node: Int, _ leaf: ExpansionLeaf, _ key: String) {
        end(node, seen.insert(key).inserted ? leaf : .duplicate)
    }

    private func refuse(_ status: EnhancedStatusCode, _ text: String) -> ExpansionLeaf {
        .error(AliasError(code: 550, status: status, plain: text))
    }

    /// Notes that a node expands `key`. False ends the node: an ancestor expands it already (a circle), or another branch
    /// did (a duplicate).
    private mutating func enter(_ node: Int, _ key: String) -> Bool {
        var circle = [described(node)]
        var ancestor = expansion.nodes[node].parent
        while let current = ancestor {
            circle.append(described(current))
            if keys[current]?.contains(key) == true {
                let path = circle.reversed().joined(separator: " -> ")
                end(node, refuse(EnhancedStatusCode(5, 4, 6), "aliases go in a circle: \(path)"))
                return false
            }
            ancestor = expansion.nodes[current].parent
        }
        guard seen.insert(key).inserted else {
            end(node, .duplicate)
            return false
        }
        keys[node, default: []].append(key)
        return true
    }

    // MARK: Names

    private func action(_ node: Int) -> Action? { expansion.nodes[node].action.flatMap { actions[$0] } }

    /// The nearest node above that is no include: lists in files belong to the alias that names them.
    private func giver(_ node: Int) -> Int? { expansion.nodes[node].parent.map { giver(of: $0) } }

    private func giver(of node: Int) -> Int {
        var node = node
        while case .include = expansion.nodes[node].subject, let parent = expansion.nodes[node].parent { node = parent }
        return node
    }

    private static func key(_ mailbox: Mailbox) -> String {
        "address \(mailbox.localPart.lowercased())@\(mailbox.domain.lowercased())"
    }

    private func described(_ node: Int) -> String {
        if case .error(let error) = expansion.nodes[node].subject { return "error:\(error.code)" }
        return expansion.nodes[node].subject.description
    }

    private func split(_ local: String) -> (name: String, extension: String?) {
        guard let index = local.firstIndex(of: delimiter), index != local.startIndex else { return (local, nil) }
        return (String(local[..<index]), String(local[local.index(after: index)...]))
    }

    /// The name as it stands, then without its sub-address.
    private func names(_ local: String) -> [String] {
        let parts = split(local)
        return parts.extension == nil ? [local] : [local, parts.name]
    }

    /// In the order of table(5): user@domain, user, @domain, @; each user first with its sub-address.
    private func virtualKeys(_ mailbox: Mailbox) -> [String] {
        let users = names(mailbox.localPart.lowercased())
        let domain = mailbox.domain.lowercased()
        return users.flatMap { Self.addresses($0, domain) } + users + ["@\(domain)", "@"]
    }

    /// A local-part that needs quotes may stand in a key with them, as in an address, or without.
    private static func addresses(_ user: String, _ domain: String) -> [String] {
        let plain = "\(user)@\(domain)"
        guard let quoted = Mailbox(localPart: user, domain: domain)?.description, quoted != plain else {
            return [plain]
        }
        return [quoted, plain]
    }
}
