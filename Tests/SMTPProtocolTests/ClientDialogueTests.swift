import Testing

@testable import SMTPProtocol

@Suite struct ClientDialogueTests {
    /// However the server's bytes are cut, the machine does the same.
    @Test(arguments: ClientDialogue.all, ClientDialogue.Cut.allCases)
    func replays(_ dialogue: ClientDialogue, cut: ClientDialogue.Cut) {
        for (exchange, done) in zip(dialogue.exchanges, dialogue.replay(cut)) {
            #expect(done == exchange.expected.filter { $0 != "C:" }, "\(dialogue), \(cut)")
        }
    }

    @Test func everyDialogueIsRead() {
        #expect(ClientDialogue.all.count == 48)
    }
}
