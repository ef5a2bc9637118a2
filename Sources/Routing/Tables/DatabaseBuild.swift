// Owns: from the text of a table to its database file. Refuses: which files those are (mail-expand), half a file.

import Glibc
import SystemPackage

public enum DatabaseBuild {
    /// Of the text; memory holds some three times as much while it is built.
    static let sourceLimit = 1 << 30
    static let entryLimit = 20_000_000

    public enum Failure: Error, Hashable, Sendable {
        /// The text can't be read; the sentence says why.
        case unreadable(String)
        /// A line of it is wrong: the place and the sentence.
        case malformed(ConfigurationError)
        /// The database can't be written.
        case unwritable(String, Errno)
    }

    /// Reads the text of a table and puts its database in the place of the old one; who reads meanwhile sees the old
    /// one or the new one. On failure the old one stands.
    /// - Parameters:
    ///   - services: what the table is used for; its entries are checked for each.
    /// - Returns: the number of entries.
    public static func run(
        source: String, destination: String, services: Set<TableService>
    ) throws(Failure) -> Int {
        let (text, status) = try read(source)
        let (bytes, count) = try octets(of: text, path: source, services: services)
        try DatabaseFile.replace(destination, with: bytes, like: status)
        return count
    }

    private static func read(_ path: String) throws(Failure) -> (String, stat) {
        var status = stat()
        do throws(UnreadableFile) {
            let text = try TextFile.read(path, limit: sourceLimit)
            guard stat(path, &status) == 0 else { throw TextFile.failure(Errno(rawValue: errno)) }
            return (text, status)
        } catch {
            throw .unreadable("cannot read \(path): \(error.reason)")
        }
    }

    static func octets(
        of text: String, path: String, services: Set<TableService>
    ) throws(Failure) -> (bytes: [UInt8], count: Int) {
        let source = SourceText(path: path, text: text)
        do throws(ConfigurationError) {
            let entries = try TableText.entries(source, table: path, limit: entryLimit)
            if let mistake = mistake(in: entries, for: services) {
                throw source.error(at: Position(file: 0, line: mistake.line, column: 1), mistake.sentence)
            }
            return (try database(entries, source), entries.count)
        } catch {
            throw .malformed(error)
        }
    }

    private static func mistake(
        in entries: [TableEntry], for services: Set<TableService>
    ) -> (line: Int, sentence: String)? {
        for service in services.sorted(by: { $0.rawValue < $1.rawValue }) {
            if let mistake = TableContent.mistake(in: entries, for: service) {
                return (mistake.entry.line ?? 1, mistake.sentence)
            }
        }
        return nil
    }

    private static func database(
        _ entries: [TableEntry], _ source: SourceText
    ) throws(ConfigurationError) -> [UInt8] {
        var writer = ConstantDatabaseWriter()
        do throws(ConstantDatabaseWriter.TooLong) {
            for entry in entries { try writer.add(entry.key.utf8, (entry.value ?? "").utf8) }
            for entry in entries {
                for spelling in spellings(of: entry.key) {
                    try writer.add([DatabaseTable.spellingMark] + spelling.utf8, entry.key.utf8)
                }
            }
        } catch {
            throw ConfigurationError(
                file: source.path, message: "the database would be longer than 4 GiB. Split the text.")
        }
        return writer.finish()
    }

    /// Other forms under which a key is asked for; see DatabaseTable.
    private static func spellings(of key: String) -> Set<String> {
        let folded = key.lowercased()
        var spellings: Set<String> = folded == key ? [] : [folded]
        if let network = Network(key) {
            spellings.insert("\(network)")
            spellings.remove(key)
        }
        return spellings
    }
}
