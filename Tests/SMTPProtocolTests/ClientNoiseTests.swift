// Noise that repeats: nothing a peer or a file holds may trap, and the machine keeps its contract whatever comes.

import MailModel
import Testing

@testable import SMTPProtocol

@Suite struct ClientNoiseTests {
    /// A small generator (xorshift), so that a failure can be repeated from its seed.
    struct Noise: RandomNumberGenerator {
        var state: UInt64
        init(_ seed: Int) { state = UInt64(truncatingIfNeeded: seed) &* 0x9E37_79B9_7F4A_7C15 | 1 }
        mutating func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
    }

    static let replies = [
        "220 x\r\n", "250 x\r\n", "250-x\r\n250-SIZE 500\r\n250 PIPELINING\r\n", "250 2.1.5 x\r\n", "354 x\r\n",
        "421 x\r\n",
        "450 x\r\n", "550 5.1.1 x\r\n", "552 x\r\n", "25", "0 x\r\n", "\0", "354-x\r\n", "999 x\r\n", "221 x\r\n",
    ]

    @Test func theMachineKeepsItsContract() {
        for seed in 1...1000 {
            var noise = Noise(seed)
            var configuration = ClientConfiguration(helo: "c.example")
            if seed % 3 == 0 { configuration.flavour = .lmtp }
            var machine = ClientMachine(configuration: configuration)
            var ready = false
            var owed = 0
            var closes = 0
            func count(_ actions: [ClientAction]) {
                for action in actions {
                    if case .ready = action { ready = true }
                    if case .finished(let results) = action { owed -= results.count }
                    if action == .close { closes += 1 }
                }
                #expect(owed >= 0, "seed \(seed): a recipient got two results")
            }
            count(machine.receive(.opened))
            count(machine.receive(.received(Array("220 x\r\n".utf8))))
            count(machine.receive(.received(Array("250-x\r\n250 PIPELINING\r\n".utf8))))
            for _ in 0..<60 where closes == 0 {
                if ready, noise.next() % 2 == 0 {
                    ready = false
                    owed += 2
                    count(machine.receive(.deliver(ClientMachineTests.mail(2))))
                } else {
                    count(machine.receive(Self.event(&noise)))
                }
            }
            count(machine.receive(.peerClosed))
            #expect(owed == 0, "seed \(seed): a recipient is without result")
            #expect(closes == 1, "seed \(seed)")
            #expect(machine.receive(.received([50])) == [], "seed \(seed)")
        }
    }

    private static func event(_ noise: inout Noise) -> ClientEvent {
        switch noise.next() % 40 {
        case 0: return .quit
        case 1: return .timedOut
        case 2: return .contentFailed
        case 3...10: return .contentSent
        default: return .received(Array((replies.randomElement(using: &noise) ?? "").utf8))
        }
    }

    @Test func headersNeverTrap() throws {
        let pieces = Array("To: Bcc:Resent-From:\r\n\r\n\r\n \t<>@@,;:\"\\()[].ab=?ü\0\u{7f}From -~".utf8)
        for seed in 1...1000 {
            var noise = Noise(seed)
            let bytes = (0..<Int(noise.next() % 120)).map { _ in pieces.randomElement(using: &noise) ?? 0 }
            _ = AddressList(bytes)
            let scanner = HeaderScanner(scanning: bytes)
            #expect(scanner.bytes.count + scanner.rest.count <= bytes.count + 2)
            let text = "To: " + String(decoding: bytes, as: UTF8.self)
            let header = try SubmissionHeaderTests.complete(text, takes: seed % 2 == 0)
            #expect(header.bytes.suffix(4) == [13, 10, 13, 10])
            let again = HeaderScanner(scanning: header.bytes)
            #expect(again.end == .emptyLine && again.rest.isEmpty, "seed \(seed)")
        }
    }
}
