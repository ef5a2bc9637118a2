// Owns: submit.conf: what mail-enqueue must know, world-readable and without secrets. Refuses: everything of pouch.conf,
// which may hold a passphrase and which mail-enqueue never reads.

/// `submit.conf`, `key value` lines in any order, `#` comments. Strict: an unknown key is from another release, and
/// going on without it might store mail in a way that its writer did not mean.
public struct SubmitConfiguration: Hashable, Sendable {
    /// The version this release writes and reads.
    public static let currentVersion = 1
    /// A handful of lines; a public key has 64 characters.
    public static let fileLimit = 64 << 10
    public static let systemPath = "/etc/pouch/submit.conf"

    /// `spool`: the queue directory, absolute.
    public var spool: String
    /// `domain`: put behind bare names; nil takes the host's name.
    public var domain: String?
    /// `hostname`: for Received lines and Message-IDs; nil takes the machine's name.
    public var hostname: String?
    /// `max-message-size`, octets.
    public var maxMessageSize = 35 << 20
    /// `public-key`, 64 lowercase hexadecimal digits: each message is sealed for it. nil stores in clear.
    public var publicKey: String?
    /// `public-key-id`, sixteen: the key's own. There when the key is.
    public var publicKeyID: String?
    /// `compression zlib`: contents are compressed where it pays.
    public var compresses = false

    public init(spool: String) { self.spool = spool }

    /// submit.conf stands in the folder of pouch.conf.
    public static func path(besides configuration: String?) -> String {
        guard let configuration, let slash = configuration.lastIndex(of: "/") else {
            return configuration == nil ? systemPath : "submit.conf"
        }
        return configuration[...slash] + "submit.conf"
    }

    /// Where to look: besides `$POUCH_CONF` if that is set, else the system's.
    public static func path(_ facts: EnvironmentFacts) -> String { path(besides: facts.configurationVariable) }

    /// The file's text; what `parse` reads as the same values.
    public func render() -> String {
        var lines = [
            "# What mail-enqueue needs to know. Written by mail-queue init from pouch.conf; see pouch.conf(5).",
            "version \(Self.currentVersion)", "spool \(spool)",
        ]
        if let domain { lines.append("domain \(domain)") }
        if let hostname { lines.append("hostname \(hostname)") }
        lines.append("max-message-size \(maxMessageSize)")
        if let publicKey { lines.append("public-key \(publicKey)") }
        if let publicKeyID { lines.append("public-key-id \(publicKeyID)") }
        if compresses { lines.append("compression zlib") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Reads the file at `path`.
    public static func load(path: String) throws(ConfigurationError) -> SubmitConfiguration {
        let text: String
        do { text = try TextFile.read(path, limit: fileLimit) } catch {
            throw ConfigurationError(file: path, message: "cannot read the configuration: \(error.reason)")
        }
        return try parse(text: text, path: path)
    }

    /// Whether the file is there; mail-enqueue works by defaults only when it is not.
    public static func exists(path: String) -> Bool { TextFile.exists(path) }

    public static func parse(text: String, path: String) throws(ConfigurationError) -> SubmitConfiguration {
        var reader = Reader(source: SourceText(path: path, text: text))
        return try reader.read()
    }
}

extension SubmitConfiguration {
    private static let keys = [
        "version", "spool", "domain", "hostname", "max-message-size", "public-key", "public-key-id", "compression",
    ]

    private struct Reader {
        let source: SourceText
        private var configuration = SubmitConfiguration(spool: "")
        private var seen: Set<String> = []

        init(source: SourceText) { self.source = source }

        mutating func read() throws(ConfigurationError) -> SubmitConfiguration {
            for number in 1...source.lineCount {
                let line = source.line(number)
                let words = line.split(maxSplits: 1) { $0 == " " || $0 == "\t" }
                guard let key = words.first, key.first != "#" else { continue }
                var value = words.count == 2 ? words[1].drop { $0 == " " || $0 == "\t" } : ""
                while value.last == " " || value.last == "\t" { value.removeLast() }
                let column = line.unicodeScalars.count - line.drop { $0 == " " || $0 == "\t" }.unicodeScalars.count + 1
                let position = Position(file: 0, line: number, column: column)
                guard seen.insert(String(key)).inserted else {
                    throw source.error(at: position, "\"\(key.prefix(40))\" stands here twice. Keep one.")
                }
                if let wrong = take(String(key), String(value)) { throw source.error(at: position, wrong) }
            }
            for key in ["version", "spool"] where !seen.contains(key) {
                throw ConfigurationError(
                    file: source.path,
                    message: "the line \"\(key) ...\" is missing. Write the file with mail-queue init.")
            }
            guard seen.contains("public-key") == seen.contains("public-key-id") else {
                throw ConfigurationError(
                    file: source.path,
                    message: "public-key and public-key-id belong together, and one is missing. Write the file with "
                        + "mail-queue init.")
            }
            return configuration
        }

        /// Takes one line; what is wrong with it, as a sentence, when something is.
        private mutating func take(_ key: String, _ value: String) -> String? {
            guard SubmitConfiguration.keys.contains(key) else {
                let expected = SubmitConfiguration.keys.joined(separator: ", ")
                return "unknown key \"\(key.prefix(40))\". Expected one of \(expected)."
                    + Suggestion.text(for: key, among: SubmitConfiguration.keys)
            }
            guard !value.isEmpty else { return "\"\(key)\" has no value. Write it behind the key." }
            guard value.utf8.allSatisfy({ $0 >= 32 && $0 != 127 }) else { return "a control character in the value." }
            switch key {
            case "version": return version(value)
            case "spool":
                configuration.spool = value
                return Values.wrongPath(value).map { "the path of the spool \($0)" }
            case "domain", "hostname": return name(key, value)
            case "max-message-size": return size(value)
            case "public-key":
                configuration.publicKey = value
                return Self.isHexadecimal(value, 64) ? nil : "a public key has 64 digits, 0 to 9 and a to f."
            case "public-key-id":
                configuration.publicKeyID = value
                return Self.isHexadecimal(value, 16) ? nil : "the id of a key has 16 digits, 0 to 9 and a to f."
            default:
                configuration.compresses = true
                return value == "zlib" ? nil : "compression \"\(value.prefix(40))\" is not known here. Write zlib."
            }
        }

        private static func isHexadecimal(_ value: String, _ count: Int) -> Bool {
            value.utf8.count == count
                && value.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        }

        private func version(_ value: String) -> String? {
            value == "\(SubmitConfiguration.currentVersion)"
                ? nil : "version \(value.prefix(20)) is not known here. Write the file again with mail-queue init."
        }

        private mutating func name(_ key: String, _ value: String) -> String? {
            guard Values.isHostname(value) else { return "\"\(value.prefix(60))\" is no host name." }
            if key == "domain" { configuration.domain = value } else { configuration.hostname = value }
            return nil
        }

        private mutating func size(_ value: String) -> String? {
            guard let size = Values.number(value), (1...Parser.messageSizeLimit).contains(size) else {
                return "\"\(value.prefix(40))\" is no number of octets from 1 to \(Parser.messageSizeLimit)."
            }
            configuration.maxMessageSize = size
            return nil
        }
    }
}
