// Owns: a table in a constant database, `db:`. Refuses: the format (ConstantDatabase), building it (DatabaseBuild).

/// Keys stand as their owner wrote them. What a folding service asks for, or a network in another spelling, stands
/// beside it under a key that begins with a zero octet, with the written key as its value: so one file serves services
/// that tell `Fred` from `fred` and those that don't, and any other program's database can be read, too.
public final class DatabaseTable: Table {
    /// What marks the key of another spelling; no line of a text can hold it.
    static let spellingMark: UInt8 = 0
    /// Entries that `all()` gives; services that want all entries have short tables.
    static let listLimit = 1_000_000

    public let name: String
    public let path: String
    private let file: ReloadedFile<ConstantDatabase>

    /// - Parameter report: takes a sentence for the log when a reload fails.
    /// - Throws: why the file can't be used now; only later changes are forgiven.
    public init(
        name: String, path: String, report: @escaping @Sendable (String) -> Void
    ) throws(ConfigurationError) {
        (self.name, self.path) = (name, path)
        file = try ReloadedFile(path: path, table: name, report: report) {
            let mapped = try MappedFile(path)
            do { return (try ConstantDatabase(mapped), mapped.stamp) } catch let error as ConstantDatabase.Foreign {
                throw UnreadableFile(error.reason)
            }
        }
    }

    public func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> {
        guided { database throws(ConstantDatabase.Damage) in
            let octets = Array(key.utf8)
            if let value = try database.value(octets) { return entry(octets, value) }
            guard folding, let written = try database.value([Self.spellingMark] + octets).map(Array.init) else {
                return .notFound
            }
            guard let value = try database.value(written) else { throw ConstantDatabase.Damage() }
            return entry(written, value)
        }
    }

    public func all() -> LookupResult<[TableEntry]> {
        guided { database throws(ConstantDatabase.Damage) in
            var entries: [TableEntry] = []
            var wrong: LookupResult<[TableEntry]>?
            try database.forEach { key, value in
                if key.first == Self.spellingMark { return true }
                switch entry(key, value) {
                case .found(let entry): entries.append(entry)
                case .temporaryFailure(let why): wrong = .temporaryFailure(why)
                case .notFound: break
                }
                if entries.count > Self.listLimit {
                    wrong = .temporaryFailure("\(path) has too many entries to go through them all")
                }
                return wrong == nil
            }
            return wrong ?? .found(entries)
        }
    }

    private func guided<Value>(
        _ body: (ConstantDatabase) throws(ConstantDatabase.Damage) -> LookupResult<Value>
    ) -> LookupResult<Value> {
        do { return try body(file.current()) } catch {
            return .temporaryFailure("\(path) is damaged: a number in it points outside of it. Build it anew")
        }
    }

    /// A list has empty values.
    private func entry(
        _ key: some Collection<UInt8>, _ value: UnsafeRawBufferPointer
    ) -> LookupResult<TableEntry> {
        guard value.count <= TableText.valueLimit else {
            return .temporaryFailure("\(path) has a value of over \(TableText.valueLimit >> 10) KiB")
        }
        guard let key = String(validating: key, as: UTF8.self), let value = String(validating: value, as: UTF8.self)
        else {
            return .temporaryFailure("\(path) has an entry that is not UTF-8 text")
        }
        return .found(TableEntry(table: name, key: key, value: value.isEmpty ? nil : value, file: path))
    }
}
