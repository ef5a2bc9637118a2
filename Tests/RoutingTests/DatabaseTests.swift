// Owns: constant databases: building, reading, hostile files, Berkeley DB's. Refuses: services (ServiceProductTests).

import Glibc
import MailModel
import Synchronization
import Testing

@testable import Routing

/// A folder that goes away with this value.
final class Folder: Sendable {
    let path: String

    init() {
        var name = Array("/tmp/pouch-tables-XXXXXX".utf8CString)
        #expect(mkdtemp(&name) != nil)
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    var names: [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Puts a new file in the place of the old, as editors do.
    @discardableResult
    func write(_ bytes: [UInt8], to name: String, mode: mode_t = 0o644) -> String {
        let target = "\(path)/\(name)"
        let descriptor = open(target + ".new", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        #expect(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        fchmod(descriptor, mode)
        close(descriptor)
        #expect(rename(target + ".new", target) == 0)
        return target
    }

    @discardableResult
    func write(_ text: String, to name: String) -> String { write(Array(text.utf8), to: name) }
}

/// A database as `mail-expand build` makes it of a text.
func database(_ text: String, services: Set<TableService> = []) throws -> [UInt8] {
    try DatabaseBuild.octets(of: text, path: "t", services: services).bytes
}

@Suite struct DatabaseTests {
    private func open(_ bytes: [UInt8], in folder: Folder) throws(ConfigurationError) -> DatabaseTable {
        let path = folder.write(bytes, to: "t.db")
        return try DatabaseTable(name: "t", path: path) { _ in }
    }

    private func value(_ table: DatabaseTable, _ key: String, folding: Bool = false) -> String? {
        if case .found(let entry) = table.find(key, folding: folding) { entry.value ?? "" } else { nil }
    }

    /// The sums of the public description: the start is 5381, and `h * 33 ^ c`.
    @Test(arguments: [("", 5381), ("a", 177604), ("one", 193_420_161)] as [(String, UInt32)])
    func hashes(text: String, hash: UInt32) {
        #expect(ConstantDatabase.hash(Array(text.utf8)) == hash)
    }

    /// `+3,5:one->Hello` as Bernstein's cdbmake writes it, octet for octet where anything stands.
    @Test func theFormatIsBernsteins() throws {
        var writer = ConstantDatabaseWriter()
        try writer.add("one".utf8, "Hello".utf8)
        let bytes = writer.finish()
        let number = { (at: Int) in bytes[at..<(at + 4)].reversed().reduce(0) { $0 << 8 | Int($1) } }
        let hash = Int(ConstantDatabase.hash(Array("one".utf8)))
        #expect(bytes.count == 2048 + 8 + 8 + 16)
        #expect(number(2048) == 3 && number(2052) == 5)
        #expect(String(decoding: bytes[2056..<2064], as: UTF8.self) == "oneHello")
        #expect(number((hash & 255) * 8) == 2064 && number((hash & 255) * 8 + 4) == 2)
        let slot = 2064 + (hash >> 8) % 2 * 8
        #expect(number(slot) == hash && number(slot + 4) == 2048)
    }

    @Test func everyKeyIsFoundAndNoOther() throws {
        let folder = Folder()
        let table = try open(try database((0..<5000).map { "user\($0): target\($0)\n" }.joined()), in: folder)
        for number in 0..<5000 { #expect(value(table, "user\(number)") == "target\(number)") }
        for number in 5000..<6000 { #expect(table.find("user\(number)", folding: true) == .notFound) }
        if case .found(let entries) = table.all() {
            #expect(entries.count == 5000 && entries[7].key == "user7" && entries[7].value == "target7")
        } else {
            Issue.record("no entries")
        }
    }

    @Test func keysFoldWhereTheyAreAskedTo() throws {
        let folder = Folder()
        let table = try open(try database("Root: fred\nÄrger: x\nlow: y\n2001:DB8::/32 z\n10.1.2.3/8 w\n"), in: folder)
        #expect(value(table, "Root") == "fred" && value(table, "root") == nil)
        #expect(value(table, "root", folding: true) == "fred" && value(table, "ärger", folding: true) == "x")
        #expect(value(table, "low", folding: true) == "y")
        // Spelled as nobody asks for it.
        #expect(value(table, "2001:db8::/32", folding: true) == "z" && value(table, "10.0.0.0/8", folding: true) == "w")
        if case .found(let entry) = table.find("root", folding: true) {
            #expect(entry.key == "Root" && entry.file == folder.path + "/t.db")
        }
        if case .found(let entries) = table.all() { #expect(entries.map(\.key).count == 5) }
    }

    @Test func theFirstOfSeveralWins() throws {
        var writer = ConstantDatabaseWriter()
        for number in 0..<40 { try writer.add("key".utf8, "value \(number)".utf8) }
        let folder = Folder()
        let table = try open(writer.finish(), in: folder)
        #expect(value(table, "key") == "value 0")
    }

    @Test func listsHaveKeysAlone() throws {
        let folder = Folder()
        let table = try open(try database("example.org\n*.example.net\n"), in: folder)
        #expect(table.find("example.org", folding: true).map(\.value) == .found(nil))
        #expect(table.find("", folding: true) == .notFound)
        #expect(try open(try database(""), in: folder).all() == .found([]))
    }

    // MARK: Hostile files

    @Test(
        arguments: [
            ("empty", []), ("short", [UInt8](repeating: 0, count: 2047)),
            ("text", Array(String(repeating: "root: fred\n", count: 400).utf8)),
            ("positions past the end", [UInt8](repeating: 255, count: 4096)),
        ] as [(String, [UInt8])])
    func whatIsNone(what: String, bytes: [UInt8]) {
        let folder = Folder()
        do {
            _ = try open(bytes, in: folder)
            Issue.record("taken: \(what)")
        } catch {
            #expect(error.message.contains("it is no constant database (cdb), or it was cut off"), "\(error)")
        }
    }

    @Test(arguments: [0x0006_1561, 0x0005_3162] as [UInt32], [0, 12])
    func berkeleyIsKnown(magic: UInt32, place: Int) {
        let folder = Folder()
        for magic in [magic, magic.byteSwapped] {
            var bytes = [UInt8](repeating: 0xEE, count: 8192)
            for index in 0..<4 { bytes[place + index] = UInt8(truncatingIfNeeded: magic >> UInt32(8 * index)) }
            do {
                _ = try open(bytes, in: folder)
                Issue.record("taken")
            } catch {
                #expect(error.message.contains("it is a Berkeley DB file") && error.message.contains("newaliases"))
            }
        }
    }

    @Test func everyCutIsFoundOut() throws {
        let folder = Folder()
        let bytes = try database("root: fred\nwilma: fred\n")
        for length in 0..<bytes.count {
            #expect(throws: ConfigurationError.self) { try open(Array(bytes[..<length]), in: folder) }
        }
    }

    /// One table of full slots that all point to one record: a search must come to an end.
    @Test func fullTablesEnd() throws {
        let slots = 200_000
        var bytes = [UInt8](repeating: 0, count: 2048)
        let put = { (number: Int, bytes: inout [UInt8]) in
            for index in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * index))) }
        }
        put(1, &bytes)
        put(0, &bytes)
        bytes.append(UInt8(ascii: "x"))
        let table = bytes.count
        for _ in 0..<slots {
            put(Int(ConstantDatabase.hash(Array("key".utf8))), &bytes)
            put(2048, &bytes)
        }
        for index in 0..<256 {
            var pair: [UInt8] = []
            put(table, &pair)
            put(slots, &pair)
            bytes.replaceSubrange((index * 8)..<(index * 8 + 8), with: pair)
        }
        let folder = Folder()
        let result = try open(bytes, in: folder).find("key", folding: true)
        guard case .temporaryFailure(let why) = result else {
            Issue.record("\(result)")
            return
        }
        #expect(why.contains("is damaged"))
    }

    /// A record as long as the file, and values that are no text.
    @Test func wrongRecordsAreTemporary() throws {
        let folder = Folder()
        var bytes = try database("root: fred\n")
        let length = 2052
        bytes[length] = 200
        guard case .temporaryFailure = try open(bytes, in: folder).find("root", folding: false) else {
            Issue.record("a value past the end was taken")
            return
        }
        bytes = try database("root: fred\n")
        bytes[2060] = 0xFF
        guard case .temporaryFailure(let why) = try open(bytes, in: folder).find("root", folding: false) else {
            Issue.record("octets that are no text were taken")
            return
        }
        #expect(why.contains("not UTF-8"))
    }

    @Test func noiseNeverStopsAnything() throws {
        var noise = Noise(state: 11)
        let folder = Folder()
        let good = try database((0..<60).map { "user\($0): target\($0)\n" }.joined())
        for _ in 0..<1500 {
            var bytes = good
            for _ in 0..<Int(noise.next() % 12 + 1) {
                // Half of it where positions and lengths stand.
                let limit = noise.next() % 2 == 0 ? 2048 : bytes.count
                bytes[Int(noise.next() % UInt64(limit))] = UInt8(truncatingIfNeeded: noise.next())
            }
            guard let table = try? open(bytes, in: folder) else { continue }
            for number in 0..<60 { _ = table.find("user\(number)", folding: true) }
            _ = table.all()
        }
    }

    // MARK: Files

    @Test func aNewFileIsTakenUpWholeOrNotAtAll() throws {
        let folder = Folder()
        let reports = Mutex<[String]>([])
        let path = folder.write(try database("root: fred\n"), to: "t.db")
        let table = try DatabaseTable(name: "t", path: path) { text in reports.withLock { $0.append(text) } }
        #expect(value(table, "root") == "fred")
        folder.write(try database("root: wilma\n"), to: "t.db")
        #expect(value(table, "root") == "wilma")
        folder.write("root: barney\n", to: "t.db")
        #expect(value(table, "root") == "wilma" && value(table, "root") == "wilma")
        #expect(reports.withLock { $0.count } == 1)
        unlink(path)
        #expect(value(table, "root") == "wilma" && value(table, "root") == "wilma")
        let last = reports.withLock { $0.last ?? "" }
        #expect(last.contains("no such file") && last.contains("stays in use"), "\(last)")
        folder.write(try database("root: betty\n"), to: "t.db")
        #expect(value(table, "root") == "betty" && reports.withLock { $0.count } == 2)
    }

    @Test func buildingReplacesAndLeavesNothingBehind() throws {
        let folder = Folder()
        let source = folder.write(Array("root: fred\n".utf8), to: "aliases", mode: 0o640)
        let target = folder.path + "/aliases.db"
        #expect(try DatabaseBuild.run(source: source, destination: target, services: [.alias]) == 1)
        var status = stat()
        #expect(stat(target, &status) == 0 && status.st_mode & 0o777 == 0o640)
        #expect(folder.names == ["aliases", "aliases.db"])
        // The new one has the rights of the one it replaces.
        #expect(chmod(target, 0o604) == 0)
        #expect(try DatabaseBuild.run(source: source, destination: target, services: [.alias]) == 1)
        #expect(stat(target, &status) == 0 && status.st_mode & 0o777 == 0o604)
    }

    @Test(
        arguments: [
            ("root: fred\nwilma\n", [], "t:2:1: the key \"wilma\" has no value"),
            ("a: b\na: c\n", [], "t:2:1: the key \"a\" stands here again"),
            ("root: a\nRoot: b\n", [.alias], "t:2:1: the key \"Root\" stands in this table twice"),
            ("root: error:250 x\n", [.alias], "t:1:1: \"error:250 x\" is no error"),
            ("vmail: 5000\n", [.userinfo], "t:1:1: \"5000\" is no user"),
            ("example.org\n", [.alias], "t:1:1: the table is a list, and aliases need keys with values"),
            ("a b\n", [.domain], "t:1:1: the table is keys with values, and domains need a list"),
            ("10.0.0.0/33\n", [.netaddr], "t:1:1: \"10.0.0.0/33\" is no network"),
            ("a(\n", [.regex], "t:1:1: \"a(\" is no regular expression"),
        ] as [(String, Set<TableService>, String)])
    func aWrongLineRefusesTheWhole(text: String, services: Set<TableService>, sentence: String) {
        do {
            _ = try DatabaseBuild.octets(of: text, path: "t", services: services)
            Issue.record("built: \(text)")
        } catch {
            guard case .malformed(let error) = error else {
                Issue.record("\(error)")
                return
            }
            #expect("\(error)".contains(sentence), "\(error)")
        }
    }

    @Test func failuresLeaveTheOldOne() throws {
        let folder = Folder()
        let target = folder.write("old", to: "t.db")
        let wrong = folder.write("root\nx y\n", to: "t")
        #expect(throws: DatabaseBuild.Failure.self) {
            try DatabaseBuild.run(source: wrong, destination: target, services: [])
        }
        #expect(throws: DatabaseBuild.Failure.self) {
            try DatabaseBuild.run(source: folder.path + "/none", destination: target, services: [])
        }
        let good = folder.write("root: fred\n", to: "t")
        #expect(throws: DatabaseBuild.Failure.self) {
            try DatabaseBuild.run(source: good, destination: folder.path + "/no/t.db", services: [])
        }
        #expect(folder.names == ["t", "t.db"])
        #expect(try TextFile.read(target, limit: 10) == "old")
    }
}
