// Owns: finding and reading fixture files. Refuses: judging them.

import Glibc
@testable import Routing

enum Fixture {
    static let folder = String(#filePath.prefix { _ in true }.dropLast("Fixture.swift".count)) + "Fixtures/"

    /// As a kind: the examples that are installed.
    static let examples = "../../../etc/examples"

    /// The names in a folder of fixtures that end so, in order.
    static func names(_ name: String, suffix: String) -> [String] {
        guard let directory = opendir(folder + name) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(suffix) { names.append(name) }
        }
        return names.sorted()
    }

    static func text(_ path: String) throws -> String { try TextFile.read(folder + path, limit: 1 << 20) }

    /// Parses a fixture as if its folder were the current one.
    static func parse(_ name: String, in kind: String) throws(ConfigurationError) -> Configuration {
        let read = { (path: String) throws(UnreadableFile) -> String in
            try TextFile.read(folder + kind + "/" + path, limit: Configuration.fileLimit)
        }
        let text: String
        do { text = try read(name) } catch { throw ConfigurationError(file: name, message: error.reason) }
        return try Configuration.parse(text: text, path: name, facts: EnvironmentFacts(uid: 0), readInclude: read)
    }
}

/// Parses text that includes nothing.
func parse(_ text: String, uid: UInt32 = 0) throws(ConfigurationError) -> Configuration {
    try Configuration.parse(text: text, path: "test.conf", facts: EnvironmentFacts(uid: uid, home: "/home/fred")) {
        (_: String) throws(UnreadableFile) -> String in throw UnreadableFile("no file in this test")
    }
}

/// The error that a text must give.
func mistake(_ text: String) -> ConfigurationError? {
    do {
        _ = try parse(text)
        return nil
    } catch { return error }
}
