// Owns: the tables of a configuration, opened, and the services over them. Refuses: the order of lookups (Matching,
// Expansion).

import MailModel

/// A value that a service found, and the entry that gave it.
public struct Found<Value: Sendable>: Sendable {
    public var value: Value
    public var entry: TableEntry
    public init(_ value: Value, _ entry: TableEntry) { (self.value, self.entry) = (value, entry) }
}

public struct TableSet: Sendable {
    private let tables: [String: any Table]
    /// The system's users, `userbase` when an action has none.
    private let users: @Sendable (String) -> LookupResult<UserInfo>

    public init(
        tables: [any Table], users: @escaping @Sendable (String) -> LookupResult<UserInfo> = SystemUsers.lookUp
    ) {
        self.tables = Dictionary(tables.map { ($0.name, $0) }) { first, _ in first }
        self.users = users
    }

    /// Opens every table of a configuration, and checks the entries of files for what they are used for.
    /// - Parameters:
    ///   - unreadable: whether a file that can't be read is an error at once, or a temporary failure of each lookup.
    ///   - report: takes a sentence for the log when a file that changed can't be taken over.
    public init(
        opening configuration: Configuration,
        users: @escaping @Sendable (String) -> LookupResult<UserInfo> = SystemUsers.lookUp,
        unreadable: UnreadablePolicy = .isError, report: @escaping @Sendable (String) -> Void
    ) throws(ConfigurationError) {
        var opened: [any Table] = []
        let services = configuration.tableServices
        for (name, definition) in configuration.tables.sorted(by: { $0.key < $1.key }) {
            let origin = configuration.tableOrigins[name]
            switch definition {
            case .list(let keys): opened.append(StaticTable(name: name, list: keys, origin: origin))
            case .mapping(let entries): opened.append(StaticTable(name: name, mapping: entries, origin: origin))
            case .systemUsers: opened.append(SystemUsersTable(name: name, users: users))
            case .program(let program):
                opened.append(
                    try Self.open(name, unreadable) { () throws(ConfigurationError) in
                        try ProgramTable(name: name, program: program, report: report)
                    })
            case .database(let path):
                opened.append(
                    try Self.open(name, unreadable) { () throws(ConfigurationError) in
                        try DatabaseTable(name: name, path: path, report: report)
                    })
            case .file(let path):
                opened.append(
                    try Self.open(name, unreadable) { () throws(ConfigurationError) in
                        try FileTable(name: name, path: path, services: services[name] ?? [], report: report)
                    })
            }
        }
        self.init(tables: opened, users: users)
    }

    public enum UnreadablePolicy: Sendable {
        /// For programs that must work.
        case isError
        /// For mail-expand, whose user may see less: "not readable" is shown where the table is asked.
        case isTemporary
    }

    private static func open(
        _ name: String, _ unreadable: UnreadablePolicy, _ open: () throws(ConfigurationError) -> any Table
    ) throws(ConfigurationError) -> any Table {
        do { return try open() } catch {
            guard unreadable == .isTemporary, error.line == 0 else { throw error }
            return UnreadableTable(name: name, why: error.description)
        }
    }

    /// Starts the programs of tables, which else start when they are first asked: for whoever gives up the right to
    /// start any.
    public func startPrograms() {
        for case let table as ProgramTable in tables.values { table.start() }
    }

    /// The same tables, programs answering from a memo.
    func remembering(_ memo: Memo) -> TableSet {
        TableSet(
            tables: tables.values.map { table -> any Table in
                (table as? ProgramTable).map { RememberedTable(table: $0, memo: memo) } ?? table
            }, users: users)
    }

    public var names: [String] { tables.keys.sorted() }

    // MARK: Services

    /// The first key that has an entry, in the order given.
    public func alias(_ table: String, keys: [String]) -> LookupResult<Found<[AliasTarget]>> {
        value(table, .alias, keys) { (text) throws(MalformedValue) in try AliasValue.parse(text) }
    }

    public func domain(_ table: String, _ domain: String) -> LookupResult<TableEntry> {
        first(table, .domain, DomainPattern.keys(domain))
    }

    public func networkAddress(_ table: String, _ address: IPAddress) -> LookupResult<TableEntry> {
        tables[table].map { named(table, $0.find(network: address)) } ?? missing(table)
    }

    public func mailAddress(_ table: String, _ mailbox: Mailbox) -> LookupResult<TableEntry> {
        first(table, .mailaddr, MailAddressPattern.keys(mailbox))
    }

    /// - Parameter table: nil asks the system.
    public func userInfo(_ table: String?, _ name: String) -> LookupResult<UserInfo> {
        guard let table else { return users(name) }
        return value(table, .userinfo, [name]) { (text) throws(MalformedValue) in try UserInfo(value: text) }
            .map(\.value)
    }

    /// The host name of a local address; IPv6 addresses are keys in brackets.
    public func addressName(_ table: String, _ address: IPAddress) -> LookupResult<Found<String>> {
        let keys = address.isIPv6 ? ["[\(address)]", "\(address)"] : ["\(address)"]
        return value(table, .addrname, keys) { (text) throws(MalformedValue) in text }
    }

    /// All source addresses, to be used in turn.
    public func sources(_ table: String) -> LookupResult<[String]> {
        guard let entries = tables[table]?.all() else { return missing(table) }
        return named(table, entries).map { $0.map { $0.value ?? $0.key } }
    }

    /// The first regular expression of a list that matches.
    public func expression(_ table: String, matching text: String) -> LookupResult<TableEntry> {
        tables[table].map { named(table, $0.find(matching: text)) } ?? missing(table)
    }

    /// Whether a key stands in a list (or is a key of a mapping), case counting.
    public func member(_ table: String, _ key: String) -> LookupResult<TableEntry> {
        tables[table].map { named(table, $0.find(member: key)) } ?? missing(table)
    }

    public func string(_ table: String, _ key: String) -> LookupResult<Found<String>> {
        value(table, .string, [key]) { (text) throws(MalformedValue) in text }
    }

    /// The patterns of addresses that a user may send as.
    public func senders(_ table: String, of user: String) -> LookupResult<Found<[String]>> {
        value(table, .mailaddrmap, [user]) { (text) throws(MalformedValue) in try SenderMap.parse(text) }
    }

    public func relayHost(_ table: String, _ key: String) -> LookupResult<Found<RelayHost>> {
        value(table, .relayhost, [key]) { (text) throws(MalformedValue) in try RelayURL.read(text) }
    }

    public func credentials(_ table: String, _ label: String) -> LookupResult<Found<Credentials>> {
        value(table, .credentials, [label]) { (text) throws(MalformedValue) in try Credentials(value: text) }
    }

    /// Any service by its name, for `mail-expand lookup`; the value as the table has it, the key in a list.
    /// - Throws: when the key is none of this service.
    public func find(
        _ key: String, in table: String, service: TableService
    ) throws(MalformedValue) -> LookupResult<Found<String>> {
        let entry: LookupResult<TableEntry>
        switch service {
        case .domain: entry = domain(table, key)
        case .netaddr: entry = networkAddress(table, try address(key))
        case .regex: entry = expression(table, matching: key)
        case .mailaddr:
            guard let mailbox = Mailbox(key) else { throw MalformedValue("\"\(key.prefix(60))\" is no mail address.") }
            entry = mailAddress(table, mailbox)
        case .addrname: entry = addressName(table, try address(key)).map(\.entry)
        case .alias, .userinfo, .string, .mailaddrmap, .relayhost, .credentials, .source:
            entry = first(table, service, [key])
        }
        return entry.map { Found($0.value ?? $0.key, $0) }
    }

    private func address(_ text: String) throws(MalformedValue) -> IPAddress {
        guard let address = IPAddress(text) else { throw MalformedValue("\"\(text.prefix(60))\" is no IP address.") }
        return address
    }

    // MARK: Steps

    private func missing<Value>(_ table: String) -> LookupResult<Value> {
        .temporaryFailure("table \(table) is not defined")
    }

    private func named<Value>(_ table: String, _ result: LookupResult<Value>) -> LookupResult<Value> {
        guard case .temporaryFailure(let why) = result else { return result }
        return .temporaryFailure("table \(table): \(why)")
    }

    private func first(_ name: String, _ service: TableService, _ keys: [String]) -> LookupResult<TableEntry> {
        guard let table = tables[name] else { return missing(name) }
        for key in keys {
            let result = table.find(service.foldsCase ? key.lowercased() : key, for: service)
            switch result {
            case .notFound: continue
            case .found: return result
            case .temporaryFailure: return named(name, result)
            }
        }
        return .notFound
    }

    /// A value that does not read as its service wants is a mistake of the table, which its owner will mend: mail waits.
    private func value<Value>(
        _ table: String, _ service: TableService, _ keys: [String],
        _ parse: (String) throws(MalformedValue) -> Value
    ) -> LookupResult<Found<Value>> {
        switch first(table, service, keys) {
        case .notFound: return .notFound
        case .temporaryFailure(let why): return .temporaryFailure(why)
        case .found(let entry):
            guard let text = entry.value else {
                return .temporaryFailure("\(entry.place) is a list, and \(service.purpose) need keys with values")
            }
            do { return .found(Found(try parse(text), entry)) } catch {
                return .temporaryFailure("\(entry.place): \(error.sentence)")
            }
        }
    }
}

extension Configuration {
    /// What each table is used for.
    public var tableServices: [String: Set<TableService>] {
        var uses: [(String, TableService)] = []
        for action in actions.values {
            for table in [action.aliasTable, action.virtualTable].compactMap({ $0 }) { uses.append((table, .alias)) }
            if let table = action.userTable { uses.append((table, .userinfo)) }
        }
        uses += rules.flatMap(\.conditions).compactMap { $0.test.tableUse.map { ($0.table, $0.service) } }
        return uses.reduce(into: [:]) { $0[$1.0, default: []].insert($1.1) }
    }
}
