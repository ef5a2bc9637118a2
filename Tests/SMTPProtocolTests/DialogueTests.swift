// Owns: the replay of Fixtures/smtp. The same octets must come back however the client's are cut and however late the
// caller answers.

import Testing

@testable import SMTPProtocol

struct DialogueTests {
    enum Cutting: CaseIterable, Sendable { case asWritten, octetByOctet, glued, gluedAnsweredLate }

    @Test func everyFileIsRead() throws {
        let names = Dialogue.fileNames()
        #expect(names.count >= 40, "Fixtures/smtp has lost dialogues, or can't be read")
        for name in names { _ = try Dialogue(file: name) }
    }

    @Test(arguments: Dialogue.all, Cutting.allCases)
    func replay(_ dialogue: Dialogue, _ cutting: Cutting) {
        var replay = Replay(dialogue, cutting)
        replay.run()
        #expect(String(decoding: replay.harness.sent, as: UTF8.self) == String(decoding: replay.due, as: UTF8.self))
        #expect(Array(replay.harness.stored.joined()) == dialogue.content)
    }

    /// RFC 2920 §3.2: replies to one group of commands leave together.
    @Test func repliesAreBatched() throws {
        let dialogue = try Dialogue(file: "04-glued.txt")
        var replay = Replay(dialogue, .glued)
        replay.run()
        #expect(replay.harness.sendCount == 2, "the banner, and all the rest")
    }
}

/// One run of a dialogue.
struct Replay {
    let dialogue: Dialogue
    let cutting: DialogueTests.Cutting
    private(set) var harness: ServerHarness
    /// What the server should have sent by now.
    private(set) var due: [UInt8] = []
    private var waiting: [UInt8] = []

    init(_ dialogue: Dialogue, _ cutting: DialogueTests.Cutting) {
        self.dialogue = dialogue
        self.cutting = cutting
        harness = ServerHarness(configuration: dialogue.configuration, caller: dialogue.caller)
    }

    mutating func run() {
        harness.tell(.opened)
        for step in dialogue.steps {
            switch step {
            case .client(let octets): say(octets)
            case .server(let line):
                due += line
                if cutting == .asWritten || cutting == .octetByOctet { #expect(harness.sent.starts(with: due)) }
            case .event(let event):
                sayWaiting()
                harness.tell(event)
            }
        }
        sayWaiting()
        let quits = dialogue.clientOctets.suffix(6) == Array("QUIT\r\n".utf8)[...]
        #expect(harness.isClosed || !quits, "QUIT left the session open")
    }

    private mutating func say(_ octets: [UInt8]) {
        switch cutting {
        case .asWritten:
            harness.tell(.received(octets))
            harness.answer()
        case .octetByOctet:
            for octet in octets {
                harness.tell(.received([octet]))
                harness.answer()
            }
        case .glued, .gluedAnsweredLate:
            waiting += octets
        }
    }

    private mutating func sayWaiting() {
        if cutting == .gluedAnsweredLate {
            // Three chunks arrive before the first answer: what is kept must be read in order.
            let third = waiting.count / 3
            for chunk in [waiting[..<third], waiting[third..<(2 * third)], waiting[(2 * third)...]] {
                harness.tell(.received(Array(chunk)))
            }
        } else if !waiting.isEmpty {
            harness.tell(.received(waiting))
        }
        waiting = []
        harness.answer()
    }
}
