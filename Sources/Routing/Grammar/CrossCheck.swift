// Owns: what can be checked only when all statements are read: names that are used are defined, tables fit their use,
// defaults that depend on other statements. Refuses: opening files.

extension Parser {
    /// The configuration, when nothing in it contradicts itself.
    mutating func finish() throws(ConfigurationError) -> Configuration {
        for use in tableUses { try check(use) }
        for list in listTables { try fill(list) }
        for use in actionUses where configuration.actions[use.name] == nil {
            let near = Suggestion.text(for: use.name, among: Array(configuration.actions.keys))
            throw error(
                at: use.position,
                "action \"\(use.name.prefix(60))\" is not defined. Write action \"\(use.name.prefix(60))\" ... first.\(near)"
            )
        }
        try checkEncryption()
        try checkListeners()
        if !hasSaid("agent socket") {
            let ownPlace = !facts.isRoot || (hasSaid("queue directory") && configuration.superviseUsers == .none)
            let spool = configuration.queueDirectory
            configuration.agentSocket = ownPlace ? "\(spool)/run/agent.sock" : "/run/pouch/agent.sock"
        }
        return configuration
    }

    private func check(_ use: TableUse) throws(ConfigurationError) {
        switch try definition(of: use.name, at: use.position) {
        case .file, .database, .program: return
        case .systemUsers:
            guard use.service == .userinfo else {
                throw error(
                    at: use.position,
                    "table <\(use.name)> is the system's users; it can stand after userbase alone, not for "
                        + "\(use.service.purpose).")
            }
        case .list(let keys):
            guard keys.isEmpty || use.service.takesLists else {
                throw error(
                    at: use.position,
                    "table <\(use.name)> is a list, and \(use.service.purpose) need keys with values: { key = value }.")
            }
            for (index, key) in keys.enumerated() {
                if let wrong = use.service.wrongKey(key) { throw entryError(use.name, index, wrong) }
            }
        case .mapping(let entries):
            guard use.service.needsValues else {
                throw error(
                    at: use.position,
                    "table <\(use.name)> has keys with values, and \(use.service.purpose) need a list: { a, b }.")
            }
            for (index, entry) in entries.enumerated() {
                if let wrong = use.service.wrongValue(entry.value) { throw entryError(use.name, index, wrong) }
            }
        }
    }

    private func definition(of name: String, at position: Position) throws(ConfigurationError) -> TableDefinition {
        if let table = configuration.tables[name] { return table }
        let near = Suggestion.text(for: name, among: Array(configuration.tables.keys))
        throw error(
            at: position, "table <\(name.prefix(60))> is not defined. Write table \(name.prefix(60)) ... first.\(near)")
    }

    private func entryError(_ table: String, _ index: Int, _ message: String) -> ConfigurationError {
        let places = tablePositions[table]
        guard let places, index < places.entries.count else {
            return ConfigurationError(file: configuration.path ?? "", message: message)
        }
        return error(at: places.entries[index], message)
    }

    /// Puts the entries of a list table into the action that names it.
    private mutating func fill(_ pending: PendingList) throws(ConfigurationError) {
        let table = try definition(of: pending.table, at: pending.position)
        guard case .list(let keys) = table else {
            // Nothing else is refused, or this would not be checked.
            throw error(
                at: pending.position,
                "<\(pending.table)> must be a list in this configuration: table \(pending.table) { a, b }. Other tables are "
                    + "not supported here by this release of Pouch.")
        }
        guard !keys.isEmpty else {
            throw error(at: pending.position, "table <\(pending.table)> is empty. Add an entry.")
        }
        guard var action = configuration.actions[pending.action], case .relay(var relay) = action.method else { return }
        for (index, key) in keys.enumerated() {
            let position = tablePositions[pending.table]?.entries[index] ?? pending.position
            switch pending.goal {
            case .hosts: relay.hosts.append(try host(key, position))
            case .sources: relay.sources.append(try source(key, position))
            }
        }
        action.method = .relay(relay)
        configuration.actions[pending.action] = action
    }
}
