// Owns: what every backend offers: strings for a key. Refuses: what the strings mean (Services, TableSet).

/// One entry of a table, with the place where a person can change it.
public struct TableEntry: Hashable, Sendable {
    public var table: String
    public var key: String
    /// nil in a list.
    public var value: String?
    public var file: String?
    public var line: Int?

    public init(table: String, key: String, value: String?, file: String? = nil, line: Int? = nil) {
        (self.table, self.key, self.value, self.file, self.line) = (table, key, value, file, line)
    }

    /// `table aliases (/etc/aliases:12)`.
    public var place: String {
        guard let file else { return "table \(table)" }
        guard let line else { return "table \(table) (\(file))" }
        return "table \(table) (\(file):\(line))"
    }
}

/// A backend. It answers for keys alone; services are built over that once for all backends, so that none can lack one.
public protocol Table: Sendable {
    var name: String { get }
    /// - Parameter folding: whether case makes no difference; the key is given in lower case then.
    func find(_ key: String, folding: Bool) -> LookupResult<TableEntry>
    /// The entry of a key, in lower case where the service folds it. Only tables that are asked with the service's name
    /// (programs) need an answer of their own.
    func find(_ key: String, for service: TableService) -> LookupResult<TableEntry>
    /// The entry of a key of which only the presence counts, case included.
    func find(member key: String) -> LookupResult<TableEntry>
    /// The narrowest network that holds the address.
    func find(network address: IPAddress) -> LookupResult<TableEntry>
    /// The first entry whose key is a regular expression that matches.
    func find(matching text: String) -> LookupResult<TableEntry>
    /// Every entry, for services that take turns (source).
    func all() -> LookupResult<[TableEntry]>
}

extension Table {
    public func find(_ key: String, for service: TableService) -> LookupResult<TableEntry> {
        find(key, folding: service.foldsCase)
    }

    public func find(member key: String) -> LookupResult<TableEntry> { find(key, folding: false) }

    /// For backends that only know keys: compiles each expression anew.
    public func find(matching text: String) -> LookupResult<TableEntry> {
        switch all() {
        case .found(let entries): PatternList().first(in: entries, matching: text)
        case .notFound: .notFound
        case .temporaryFailure(let why): .temporaryFailure(why)
        }
    }

    /// For backends that only know keys: asks for the address, then for each network around it, the narrowest first.
    public func find(network address: IPAddress) -> LookupResult<TableEntry> {
        for key in ["\(address)"] + (0...address.width).reversed().map({ "\(address.masked($0))/\($0)" }) {
            switch find(key, folding: true) {
            case .notFound: continue
            case .found(let entry): return .found(entry)
            case .temporaryFailure(let why): return .temporaryFailure(why)
            }
        }
        return .notFound
    }
}
