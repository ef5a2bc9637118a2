// Owns: tables written in the configuration. Refuses: changing; a new configuration is a new table.

public struct StaticTable: Table {
    public let name: String
    private let content: TableContent

    public init(name: String, list keys: [String], origin: TableOrigin? = nil) {
        self.name = name
        content = TableContent(
            keys.enumerated().map { Self.entry(name, $1, nil, origin, $0) })
    }

    public init(name: String, mapping: [TableDefinition.Entry], origin: TableOrigin? = nil) {
        self.name = name
        content = TableContent(
            mapping.enumerated().map { Self.entry(name, $1.key, $1.value, origin, $0) })
    }

    private static func entry(
        _ table: String, _ key: String, _ value: String?, _ origin: TableOrigin?, _ index: Int
    ) -> TableEntry {
        let lines = origin?.entryLines ?? []
        let line = index < lines.count ? lines[index] : origin?.line
        return TableEntry(table: table, key: key, value: value, file: origin?.file, line: line)
    }

    public func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> { content.find(key, folding: folding) }
    public func find(network address: IPAddress) -> LookupResult<TableEntry> { content.find(network: address) }
    public func find(matching text: String) -> LookupResult<TableEntry> { content.find(matching: text) }
    public func all() -> LookupResult<[TableEntry]> { .found(content.entries) }
}
