// Owns: the files of a configuration: reading them, refusing those that show a passphrase to others, and handing their
// texts without passphrases to a program that may not read them. Refuses: the grammar, descriptors.

/// The texts of a configuration as they were read.
public struct ConfigurationFiles: Sendable {
    private struct File {
        var path: String
        var text: String
        /// Permission bits; nil when it did not come from a file system.
        var mode: UInt32?
    }

    /// What a bundle begins with.
    private static let magic = "pouch-configuration 1"
    /// More than all includes of any configuration that is taken.
    public static let bundleLimit = 64 << 20

    public let configuration: Configuration
    private var files: [File]

    /// Reads and checks one file and what it includes.
    public static func load(
        path: String, facts: EnvironmentFacts = .current()
    ) throws(ConfigurationError) -> ConfigurationFiles {
        let record = Record()
        let read = { (path: String) throws(UnreadableFile) -> String in
            let (text, stamp) = try TextFile.readStamped(path, limit: Configuration.fileLimit)
            record.files.append(File(path: path, text: text, mode: stamp.mode))
            return text
        }
        let text: String
        do { text = try read(path) } catch {
            throw ConfigurationError(file: path, message: "cannot read the configuration: \(error.reason)")
        }
        let configuration = try Configuration.parse(text: text, path: path, facts: facts, readInclude: read)
        let files = ConfigurationFiles(configuration: configuration, files: record.files)
        try files.refuseShownKeys()
        return files
    }

    /// What was read, in the order of reading; it lives while `load` runs.
    private final class Record {
        var files: [File] = []
    }

    /// Others may not read a file with a passphrase in it. A group that may is its owner's choice: it takes a `chgrp`
    /// or a `chmod` to get there from what an editor makes, and operators need a way in.
    private func refuseShownKeys() throws(ConfigurationError) {
        for place in configuration.literalKeys {
            guard let mode = files.first(where: { $0.path == place.file })?.mode, mode & 0o004 != 0 else { continue }
            throw ConfigurationError(
                file: place.file,
                message:
                    "line \(place.lines.lowerBound) holds the queue's passphrase, and everybody may read the file. "
                    + "Forbid it with \"chmod o-r \(place.file)\", or move the passphrase to a file of its own "
                    + "(queue encryption key file).")
        }
    }
}

// MARK: Handing on

extension ConfigurationFiles {
    /// The texts, each with its path and length before it, passphrases replaced. Line numbers stay.
    public func bundle() -> [UInt8] {
        var out = Array("\(Self.magic)\n".utf8)
        for file in files {
            let text = Self.withoutKeys(file.text, configuration.literalKeys.filter { $0.file == file.path })
            out += Array("\(file.path.utf8.count) \(text.utf8.count)\n".utf8)
            out += Array(file.path.utf8)
            out += Array(text.utf8)
        }
        return out
    }

    private static func withoutKeys(_ text: String, _ places: [LiteralKeyPlace]) -> String {
        guard !places.isEmpty else { return text }
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for place in places {
            for line in place.lines where lines.indices.contains(line - 1) {
                lines[line - 1] = line == place.lines.lowerBound ? place.substitute : ""
            }
        }
        return lines.joined(separator: "\n")
    }

    /// Reads a bundle as if its files were read.
    public static func load(
        bundle: [UInt8], facts: EnvironmentFacts = .current()
    ) throws(ConfigurationError) -> ConfigurationFiles {
        let files = try unpack(bundle)
        guard let first = files.first else { throw malformed }
        let read = { (path: String) throws(UnreadableFile) -> String in
            guard let file = files.first(where: { $0.path == path }) else {
                throw UnreadableFile("it was not handed over. Start mail-supervise again.")
            }
            return file.text
        }
        let configuration = try Configuration.parse(
            text: first.text, path: first.path, facts: facts, readInclude: read)
        return ConfigurationFiles(configuration: configuration, files: files)
    }

    private static let malformed = ConfigurationError(
        file: "the configuration handed over", message: "it is not what mail-supervise writes. Start it again.")

    private static func unpack(_ bundle: [UInt8]) throws(ConfigurationError) -> [File] {
        var rest = bundle[...]
        func line() -> Substring? {
            guard let end = rest.prefix(64).firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            let line = String(decoding: rest[..<end], as: UTF8.self)
            rest = rest[(end + 1)...]
            return line[...]
        }
        func text(_ count: Int) -> String? {
            guard count <= rest.count, let text = String(validating: rest.prefix(count), as: UTF8.self) else {
                return nil
            }
            rest = rest.dropFirst(count)
            return text
        }
        guard bundle.count <= bundleLimit, line() == magic[...] else { throw malformed }
        var files: [File] = []
        while !rest.isEmpty {
            guard let sizes = line()?.split(separator: " "), sizes.count == 2, let path = Values.number(sizes[0]),
                let size = Values.number(sizes[1]), files.count < Parser.includeCountLimit, let path = text(path),
                let text = text(size)
            else { throw malformed }
            files.append(File(path: path, text: text, mode: nil))
        }
        return files
    }
}
