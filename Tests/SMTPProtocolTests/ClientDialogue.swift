// Owns: reading dialogues of Fixtures/client and replaying them against a ClientMachine. Refuses: judging.
//
//   # a comment                            option lmtp | option helo NAME
//   S: text      a line of the server, CRLF added; \r \n \0 \xNN stand for octets
//   S= text      the same without CRLF         S*100 text     the line a hundred times
//   > event      opened | deliver KEY=VALUE... | contentSent | contentFailed | quit | timedOut | closed
//   C: line      what the machine sent; an empty `C:` line stands for nothing sent
//   < action     ready KEYWORDS | content | ok|temp|perm STATUS REPLY | failed temp|perm STATUS REPLY | close
// A dialogue begins with `> opened` by itself.

import Glibc
import MailModel

@testable import SMTPProtocol

struct ClientDialogue: CustomStringConvertible, Sendable {
    /// How the server's bytes are cut.
    enum Cut: CaseIterable, Sendable { case whole, lines, octets }

    enum Input: Sendable {
        case event(ClientEvent)
        case octets([UInt8])
    }
    struct Exchange: Sendable {
        var inputs: [Input]
        var expected: [String]
    }

    let description: String
    var configuration = ClientConfiguration(helo: "client.example")
    var exchanges: [Exchange] = [Exchange(inputs: [.event(.opened)], expected: [])]

    init(name: String, text: String) throws {
        description = name
        for line in text.split(separator: "\n") where !line.hasPrefix("#") { try add(line) }
    }

    private mutating func add(_ line: Substring) throws {
        let words = line.split(separator: " ")
        if line.hasPrefix("S") {
            add(.octets(try Self.octets(line)))
        } else if line.hasPrefix("> ") {
            add(.event(try Self.event(words.dropFirst())))
        } else if line.hasPrefix("C:") || line.hasPrefix("< ") {
            exchanges[exchanges.count - 1].expected.append(String(line))
        } else if words == ["option", "lmtp"] {
            configuration.flavour = .lmtp
        } else if words.prefix(2) == ["option", "helo"] {
            configuration.helo = Self.unescaped(words[2])
        } else {
            throw DialogueError(line: String(line))
        }
    }

    /// Inputs before the next expectation belong together; bytes of the server are glued.
    private mutating func add(_ input: Input) {
        guard let last = exchanges.last, last.expected.isEmpty else {
            return exchanges.append(Exchange(inputs: [input], expected: []))
        }
        if case .octets(let more) = input, case .octets(let before) = last.inputs.last {
            exchanges[exchanges.count - 1].inputs[last.inputs.count - 1] = .octets(before + more)
        } else {
            exchanges[exchanges.count - 1].inputs.append(input)
        }
    }

    private static func octets(_ line: Substring) throws -> [UInt8] {
        let head = line.prefix { $0 != " " }
        let text = latin(unescaped(line.dropFirst(head.count + 1)))
        switch head {
        case "S:": return text + [13, 10]
        case "S=": return text
        default:
            guard head.hasPrefix("S*"), let count = Int(head.dropFirst(2)) else { throw DialogueError(line: "\(line)") }
            return Array(repeatElement(text + [13, 10], count: count).joined())
        }
    }

    static func latin(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }

    static func unescaped(_ text: some StringProtocol) -> String {
        var out = String.UnicodeScalarView()
        var rest = Substring(text).unicodeScalars
        while let scalar = rest.popFirst() {
            guard scalar == "\\", let kind = rest.popFirst() else {
                out.append(scalar)
                continue
            }
            switch kind {
            case "r": out.append("\r")
            case "n": out.append("\n")
            case "0": out.append("\0")
            case "x":
                out.append(Unicode.Scalar(UInt8(String(rest.prefix(2)), radix: 16) ?? 0))
                rest = rest.dropFirst(2)
            default: out.append(kind)
            }
        }
        return String(out)
    }

    private static func event(_ words: ArraySlice<Substring>) throws -> ClientEvent {
        switch words.first {
        case "opened": return .opened
        case "deliver": return .deliver(try mail(words.dropFirst()))
        case "contentSent": return .contentSent
        case "contentFailed": return .contentFailed
        case "quit": return .quit
        case "timedOut": return .timedOut
        case "closed": return .peerClosed
        default: throw DialogueError(line: words.joined(separator: " "))
        }
    }

    private static func mail(_ words: ArraySlice<Substring>) throws -> OutgoingMail {
        var mail = OutgoingMail(reversePath: .null, recipients: [], size: 100)
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1)
            let value = parts.count > 1 ? unescaped(parts[1]) : ""
            switch parts[0] {
            case "from": mail.reversePath = Mailbox(value).map { .mailbox($0) } ?? .null
            case "to": mail.recipients = value.split(separator: ",").compactMap { Mailbox($0) }.map { Recipient($0) }
            case "size": mail.size = Int(value) ?? 0
            case "8bit": mail.body = .eightBitMIME
            case "utf8": mail.smtpUTF8 = true
            case "action": mail.action = value
            case "ret": mail.returnContent = value == "full" ? .full : .headers
            case "envid": mail.envelopeID = value
            case "orcpt": for index in mail.recipients.indices { mail.recipients[index].originalRecipient = value }
            case "notify": for index in mail.recipients.indices { mail.recipients[index].notify = notify(value) }
            default: throw DialogueError(line: String(word))
            }
        }
        return mail
    }

    private static func notify(_ value: String) -> NotifyConditions {
        var out: NotifyConditions = []
        if value.contains("success") { out.insert(.success) }
        if value.contains("failure") { out.insert(.failure) }
        if value.contains("delay") { out.insert(.delay) }
        return out
    }
}

struct DialogueError: Error, CustomStringConvertible {
    var line: String
    var description: String { "not understood: \(line)" }
}

extension ClientDialogue {
    /// What the machine did at each exchange, in the words of the fixture; timeouts left out.
    func replay(_ cut: Cut) -> [[String]] {
        var machine = ClientMachine(configuration: configuration)
        return exchanges.map { exchange in
            exchange.inputs.flatMap { input in
                switch input {
                case .event(let event): Self.words(for: machine.receive(event))
                case .octets(let octets):
                    Self.cut(octets, cut).flatMap { Self.words(for: machine.receive(.received($0))) }
                }
            }
        }
    }

    private static func cut(_ octets: [UInt8], _ cut: Cut) -> [[UInt8]] {
        switch cut {
        case .whole: return [octets]
        case .octets: return octets.map { [$0] }
        case .lines:
            var lines = octets.split(separator: 10, omittingEmptySubsequences: false).map { Array($0) + [10] }
            let last = lines.removeLast().dropLast()
            return last.isEmpty ? lines : lines + [Array(last)]
        }
    }

    static func words(for actions: [ClientAction]) -> [String] {
        actions.flatMap { action -> [String] in
            switch action {
            case .send(let bytes):
                return String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").map { "C: \($0)" }
            case .ready(let peer): return ["< ready" + keywords(of: peer)]
            case .sendContent: return ["< content"]
            case .finished(let results):
                return results.isEmpty ? ["< nobody"] : results.map { "< \(word($0.result)) \($0.status) \($0.reply)" }
            case .failed(let failure): return ["< failed \(word(failure.result)) \(failure.status) \(failure.reply)"]
            case .setTimeout: return []
            case .close: return ["< close"]
            }
        }
    }

    private static func word(_ result: AttemptResult) -> String {
        switch result {
        case .ok: "ok"
        case .temporaryFailure: "temp"
        case .permanentFailure: "perm"
        }
    }

    private static func keywords(of peer: PeerCapabilities) -> String {
        let words: [(Bool, String)] = [
            (peer.pipelining, "pipelining"), (peer.eightBitMIME, "8bitmime"), (peer.smtpUTF8, "smtputf8"),
            (peer.dsn, "dsn"), (peer.enhancedStatusCodes, "codes"), (peer.takesAction, "xaction"),
            (peer.sizeLimit != nil, "size=\(peer.sizeLimit ?? 0)"),
        ]
        return words.filter(\.0).map { " " + $0.1 }.joined()
    }

    // MARK: Files

    static let folder = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined()

    /// All dialogues of Fixtures/client, by name. A file that can't be read is an error of the test.
    static let all: [ClientDialogue] = {
        let path = folder + "/Fixtures/client"
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".txt") { names.append(name) }
        }
        return names.sorted().compactMap { name in
            guard let text = contents(of: path + "/" + name) else { return nil }
            return try? ClientDialogue(name: name, text: text)
        }
    }()

    static func contents(of path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}
