// Owns: a table in a text file. Refuses: the lines (TableText), when to read them again (ReloadedFile).

public final class FileTable: Table {
    /// Some hundred thousand entries.
    public static let fileLimit = 16 << 20

    public let name: String
    public let path: String
    private let file: ReloadedFile<TableContent>

    /// - Parameters:
    ///   - services: what the table is used for; its entries are checked for each.
    ///   - report: takes a sentence for the log when a reload fails.
    /// - Throws: why the file can't be used now; only later changes are forgiven.
    public init(
        name: String, path: String, services: Set<TableService> = [], report: @escaping @Sendable (String) -> Void
    ) throws(ConfigurationError) {
        (self.name, self.path) = (name, path)
        file = try ReloadedFile(path: path, table: name, report: report) { try Self.read(path, name, services) }
    }

    public func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> {
        file.current().find(key, folding: folding)
    }
    public func find(network address: IPAddress) -> LookupResult<TableEntry> { file.current().find(network: address) }
    public func find(matching text: String) -> LookupResult<TableEntry> { file.current().find(matching: text) }
    public func all() -> LookupResult<[TableEntry]> { .found(file.current().entries) }

    private static func read(
        _ path: String, _ name: String, _ services: Set<TableService>
    ) throws -> (TableContent, TextFile.Stamp) {
        let (text, stamp) = try TextFile.readStamped(path, limit: fileLimit)
        let source = SourceText(path: path, text: text)
        let content = TableContent(try TableText.entries(source, table: name))
        for service in services.sorted(by: { $0.rawValue < $1.rawValue }) {
            guard let mistake = content.mistake(for: service) else { continue }
            throw source.error(at: Position(file: 0, line: mistake.entry.line ?? 1, column: 1), mistake.sentence)
        }
        return (content, stamp)
    }
}
