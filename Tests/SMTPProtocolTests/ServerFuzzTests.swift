// Owns: thousands of damaged dialogues from a seeded generator. Whatever comes in, the machine must not trap, must not
// send without bound, and must acknowledge exactly what was committed.

import MailModel
import Testing

@testable import SMTPProtocol

struct ServerFuzzTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func damagedDialogues(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let corpus = Dialogue.all.map(\.clientOctets)
        #expect(!corpus.isEmpty)
        for _ in 0..<1000 {
            let input = Mutation.of(corpus, &random)
            var session = FuzzSession(random: random, input: input)
            session.run()
            _ = random.next()
            #expect(
                session.acknowledged == session.committed, "seed \(seed): \(String(decoding: input, as: UTF8.self))")
            #expect(session.sent.count <= 64 * input.count + 1024, "seed \(seed)")
            guard session.acknowledged == session.committed else { return }
        }
    }
}

/// Damage to what clients of the dialogues say.
enum Mutation {
    static let pieces = [
        "\r\n", "\n", "\r", ".", "\r\n.\r\n", "\0", "DATA\r\n", "RSET\r\n", "EHLO x\r\n", "MAIL FROM:<>\r\n", "<", ">",
        "\"",
        "RCPT TO:<a@b>\r\n", "QUIT\r\n", " SIZE=", "@", ":", "\\", "[", "\u{fc}",
    ]

    static func of(_ corpus: [[UInt8]], _ random: inout SplitMix) -> [UInt8] {
        var octets = corpus[random.below(corpus.count)].prefix(3000)
        for _ in 0..<random.below(6) {
            let place = random.below(octets.count + 1)
            let end = min(octets.count, place + random.below(40))
            switch random.below(5) {
            case 0: octets.insert(contentsOf: pieces[random.below(pieces.count)].utf8, at: place)
            case 1: octets.removeSubrange(place..<end)
            case 2: octets.insert(contentsOf: Array(octets[place..<end]), at: random.below(octets.count + 1))
            case 3 where place < octets.count: octets[place] = UInt8(truncatingIfNeeded: random.next())
            default: octets += corpus[random.below(corpus.count)].prefix(1000)
            }
        }
        return Array(octets)
    }
}

/// One session whose caller decides at random, and remembers what it committed under which name.
struct FuzzSession {
    private var random: SplitMix
    private let input: [UInt8]
    private var machine: ServerMachine
    private(set) var sent: [UInt8] = []
    /// Names of messages that were committed and whose answer the machine could still give.
    private(set) var committed: Set<Int> = []
    private var nextName = 1
    private var hasMessage = false
    private var isClosed = false
    private var question: ServerEvent?

    init(random: SplitMix, input: [UInt8]) {
        self.random = random
        self.input = input
        var configuration = ServerConfiguration(hostname: "mx.example.org")
        configuration.maxMessageSize = 2000
        configuration.maxRecipients = 3
        configuration.maxMails = 5
        configuration.maxFailures = 10
        machine = ServerMachine(configuration: configuration)
    }

    mutating func run() {
        tell(.opened)
        var rest = input[...]
        while !rest.isEmpty && !isClosed {
            let chunk = rest.prefix(1 + random.below(random.below(4) == 0 ? 8 : 2000))
            rest = rest.dropFirst(chunk.count)
            tell(.received(Array(chunk)))
            if random.below(20) == 0 { tell(oddEvent()) }
            while let event = question {
                question = nil
                tell(event)
            }
        }
        tell(.peerClosed)
        #expect(!hasMessage && isClosed && !machine.wantsInput)
    }

    /// The names that the peer was told.
    var acknowledged: Set<Int> {
        let lines = String(decoding: sent, as: UTF8.self).split(separator: "\r\n")
        return Set(lines.filter { $0.hasPrefix("250 2.0.0 Stored ") }.compactMap { Int($0.dropFirst(17)) })
    }

    /// Something that comes at no good moment. Answers only where none is due: two for one question are no fault of
    /// the machine's.
    private mutating func oddEvent() -> ServerEvent {
        switch random.below(question == nil ? 7 : 4) {
        case 0: return .timedOut
        case 1: return .shuttingDown
        case 2: return .opened
        case 3:
            // What was stored stays stored; a peer that left before the replies went out never learns of it.
            committed.formIntersection(acknowledged)
            return .peerClosed
        case 4: return .storageFailed(failure)
        case 5: return .senderDecided(nil)
        default: return .recipientDecided(nil)
        }
    }

    private var failure: Reply { Reply(451, EnhancedStatusCode(4, 3, 0), "Not stored") }

    private mutating func tell(_ event: ServerEvent) {
        for action in machine.receive(event) {
            #expect(!isClosed, "\(action) after close")
            switch action {
            case .send(let octets): sent += octets
            case .decideSender: ask(.senderDecided(decision()))
            case .decideRecipient: ask(.recipientDecided(decision()))
            case .beginMessage, .content: hasMessage = true
            case .commitMessage: commit()
            case .abortMessage: hasMessage = false
            case .refused(let command, _): #expect(command.utf8.count < 1000)
            case .close:
                isClosed = true
                question = nil
            }
        }
    }

    private mutating func ask(_ answer: ServerEvent) {
        #expect(question == nil)
        question = answer
    }

    private mutating func decision() -> Reply? { random.below(4) == 0 ? failure : nil }

    private mutating func commit() {
        #expect(hasMessage)
        hasMessage = false
        guard random.below(4) > 0 else {
            return ask(random.below(2) == 0 ? .stored([failure]) : .storageFailed(failure))
        }
        committed.insert(nextName)
        ask(.stored([Reply(250, EnhancedStatusCode(2, 0, 0), "Stored \(nextName)")]))
        nextName += 1
    }
}
