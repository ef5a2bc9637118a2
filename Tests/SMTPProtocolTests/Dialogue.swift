// Owns: reading the dialogues of Fixtures/smtp (their README has the form). Refuses: replaying them.

import Glibc
import MailModel
import Testing

@testable import SMTPProtocol

/// A file of Fixtures/smtp.
struct Dialogue: Sendable, CustomTestStringConvertible {
    enum Step: Sendable {
        case client([UInt8])
        /// One line of the server's, with its CR LF.
        case server([UInt8])
        case event(ServerEvent)
    }

    struct SyntaxError: Error {
        let file: String
        let line: String
    }

    let name: String
    var steps: [Step] = []
    var content: [UInt8] = []
    var configuration = ServerConfiguration(hostname: "mx.example.org")
    var caller = ScriptedCaller()

    var testDescription: String { name }

    /// All that the client says, in one piece.
    var clientOctets: [UInt8] {
        steps.flatMap { (step) -> [UInt8] in
            if case .client(let octets) = step { octets } else { [] }
        }
    }

    static let folder = #filePath.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/Fixtures/smtp"

    /// Every dialogue, by name; empty when the folder can't be read, which a test of its own reports.
    static let all: [Dialogue] = Dialogue.fileNames().compactMap { try? Dialogue(file: $0) }

    static func fileNames() -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { _ = closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".txt") { names.append(name) }
        }
        return names.sorted()
    }

    init(file: String) throws {
        name = String(file.dropLast(4))
        configuration.maxMessageSize = 1000
        let text = String(decoding: Self.read(Self.folder + "/" + file), as: UTF8.self)
        for line in text.split(separator: "\n") where line.first != "#" {
            guard read(line) else { throw SyntaxError(file: file, line: String(line)) }
        }
    }

    private mutating func read(_ line: Substring) -> Bool {
        if line.first == "!" { return readDirective(line.dropFirst()) }
        let text = line.dropFirst(line.dropFirst(2).first == " " ? 3 : 2)
        switch line.prefix(2) {
        case "C:": steps.append(.client(Self.octets(text) + [13, 10]))
        case "C>": steps.append(.client(Self.octets(text)))
        case "S:": steps.append(.server(Array(text.utf8) + [13, 10]))
        case "M:": content += Self.octets(text) + [13, 10]
        default: return false
        }
        return true
    }

    private mutating func readDirective(_ line: Substring) -> Bool {
        let (name, text) = Self.cut(line)
        switch name {
        case "lmtp": configuration.flavour = .lmtp
        case "takes-action": configuration.takesAction = true
        case "max-size": configuration.maxMessageSize = Int(text) ?? -1
        case "max-recipients": configuration.maxRecipients = Int(text) ?? -1
        case "max-mails": configuration.maxMails = Int(text) ?? -1
        case "max-failures": configuration.maxFailures = Int(text) ?? -1
        case "refuse-sender", "refuse-recipient":
            let (address, reply) = Self.cut(text)
            caller.refusals[String(address)] = Self.reply(reply)
        case "refuse-action":
            guard let code = text.firstIndex(where: \.isNumber) else { return false }
            caller.refusals[String(text[..<code].dropLast())] = Self.reply(text[code...])
        case "store":
            caller.storeReplies = text.split(separator: "|").compactMap { Self.reply($0.drop { $0 == " " }) }
        case "store-fails": caller.storeFailure = Self.reply(text)
        case "event": return readEvent(text)
        default: return false
        }
        return true
    }

    private mutating func readEvent(_ text: Substring) -> Bool {
        let (name, rest) = Self.cut(text)
        switch name {
        case "shutting-down": steps.append(.event(.shuttingDown))
        case "timed-out": steps.append(.event(.timedOut))
        case "peer-closed": steps.append(.event(.peerClosed))
        case "storage-failed":
            guard let reply = Self.reply(rest) else { return false }
            steps.append(.event(.storageFailed(reply)))
        default: return false
        }
        return true
    }

    private static func cut(_ text: Substring) -> (Substring, Substring) {
        let first = text.prefix { $0 != " " }
        return (first, text[first.endIndex...].dropFirst())
    }

    /// `550 5.1.1 text`.
    static func reply(_ text: Substring) -> Reply? {
        let (code, rest) = cut(text)
        let (status, line) = cut(rest)
        guard let code = Int(code), let status = EnhancedStatusCode(status) else { return nil }
        return Reply(code, status, line.last == " " ? String(line.dropLast()) : String(line))
    }

    /// Takes `{text*N}` and the backslashes out.
    private static func octets(_ text: Substring) -> [UInt8] {
        var out: [UInt8] = []
        var rest = text
        while let character = rest.popFirst() {
            if character == "{", let close = rest.firstIndex(of: "}"), let star = rest[..<close].lastIndex(of: "*") {
                let count = Int(rest[star...].dropFirst().prefix { $0 != "}" }) ?? 0
                out += Array(repeating: Array(rest[..<star].utf8), count: count).joined()
                rest = rest[close...].dropFirst()
            } else if character == "\\" {
                out += escape(&rest)
            } else {
                out += String(character).utf8
            }
        }
        return out
    }

    private static func escape(_ rest: inout Substring) -> [UInt8] {
        switch rest.popFirst() {
        case "r": return [13]
        case "n": return [10]
        case "0": return [0]
        case "s": return [32]
        case "x":
            defer { rest = rest.dropFirst(2) }
            return [UInt8(rest.prefix(2), radix: 16) ?? 0]
        default: return [92]
        }
    }

    private static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var octets = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&octets, 1, octets.count, file)
        return Array(octets.prefix(count))
    }
}
