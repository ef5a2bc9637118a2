// Owns: a table in a text file, read again when the file changes. Refuses: half a file: new content is taken whole or
// not at all.

import Synchronization

/// Each lookup looks at the file's status (some microseconds) and reads it again when time, size or inode changed.
/// Content that is malformed, or a file that can't be read any more, leaves the last good content in use and is
/// reported once for each change.
public final class FileTable: Table {
    /// Some hundred thousand entries.
    public static let fileLimit = 16 << 20

    public let name: String
    public let path: String
    private let services: Set<TableService>
    private let report: @Sendable (String) -> Void
    private let state: Mutex<State>

    private struct State {
        var content: TableContent
        /// Of the file last read, good or bad; nil after it could not be had at all.
        var stamp: TextFile.Stamp?
    }

    /// - Parameters:
    ///   - services: what the table is used for; its entries are checked for each.
    ///   - report: takes a sentence for the log when a reload fails.
    /// - Throws: why the file can't be used now; only later changes are forgiven.
    public init(
        name: String, path: String, services: Set<TableService> = [], report: @escaping @Sendable (String) -> Void
    ) throws(ConfigurationError) {
        (self.name, self.path, self.services, self.report) = (name, path, services, report)
        let (content, stamp) = try Self.read(path, name, services)
        state = Mutex(State(content: content, stamp: stamp))
    }

    public func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> { current().find(key, folding: folding) }
    public func find(network address: IPAddress) -> LookupResult<TableEntry> { current().find(network: address) }
    public func all() -> LookupResult<[TableEntry]> { .found(current().entries) }

    private func current() -> TableContent {
        var complaint: String?
        let content = state.withLock { state in
            complaint = refresh(&state)
            return state.content
        }
        // Outside the lock: whoever takes the report may look something up itself.
        if let complaint { report("\(complaint) The former content of table \(name) stays in use.") }
        return content
    }

    /// What went wrong, when something new did.
    private func refresh(_ state: inout State) -> String? {
        let stamp: TextFile.Stamp
        do { stamp = try TextFile.stamp(path) } catch {
            defer { state.stamp = nil }
            return state.stamp == nil ? nil : "\(path): cannot read the table: \(error.reason)"
        }
        guard stamp != state.stamp else { return nil }
        state.stamp = stamp
        do {
            (state.content, state.stamp) = try Self.read(path, name, services)
            return nil
        } catch {
            return error.line > 0 ? "\(path):\(error.line): \(error.message)" : "\(path): \(error.message)"
        }
    }

    private static func readAny(
        _ path: String, _ name: String, _ services: Set<TableService>
    ) throws -> (TableContent, TextFile.Stamp) {
        let (text, stamp) = try TextFile.readStamped(path, limit: fileLimit)
        let content = try TableText.parse(text, path: path, table: name)
        for service in services.sorted(by: { $0.rawValue < $1.rawValue }) {
            guard let mistake = content.mistake(for: service) else { continue }
            let position = Position(file: 0, line: mistake.entry.line ?? 1, column: 1)
            throw SourceText(path: path, text: text).error(at: position, mistake.sentence)
        }
        return (content, stamp)
    }

    private static func read(
        _ path: String, _ name: String, _ services: Set<TableService>
    ) throws(ConfigurationError) -> (TableContent, TextFile.Stamp) {
        do { return try readAny(path, name, services) } catch let error as ConfigurationError { throw error } catch {
            let reason = (error as? UnreadableFile)?.reason ?? "\(error)"
            throw ConfigurationError(file: path, message: "cannot read table \(name): \(reason)")
        }
    }
}
