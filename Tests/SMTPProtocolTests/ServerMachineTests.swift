// Owns: what dialogues can't show of ServerMachine: actions, events at odd moments, bounds.

import MailModel
import Testing

@testable import SMTPProtocol

struct ServerMachineTests {
    static let stored = Reply(250, EnhancedStatusCode(2, 0, 0), "Stored")

    /// A machine told all of `input`, its decisions answered with yes, and what it did last.
    static func machine(
        after input: String, flavour: ServerConfiguration.Flavour = .smtp
    ) -> (machine: ServerMachine, actions: [ServerAction]) {
        var configuration = ServerConfiguration(hostname: "mx.example.org")
        configuration.flavour = flavour
        var machine = ServerMachine(configuration: configuration)
        _ = machine.receive(.opened)
        var actions = machine.receive(.received(Array(input.utf8)))
        for _ in 0..<100 {
            switch actions.last {
            case .decideSender: actions = machine.receive(.senderDecided(nil))
            case .decideRecipient: actions = machine.receive(.recipientDecided(nil))
            default: return (machine, actions)
            }
        }
        return (machine, actions)
    }

    static let envelope = "EHLO client.example\r\nMAIL FROM:<a@b> SIZE=7\r\nRCPT TO:<postmaster>\r\n"
    static let content = envelope + "DATA\r\nx\r\n"
    static let whole = content + ".\r\n"

    @Test func theTransactionTellsAll() throws {
        let (machine, actions) = Self.machine(after: Self.content)
        let sender = SenderRequest(reversePath: .mailbox(try #require(Mailbox("a@b"))), size: 7)
        let recipient = RecipientRequest(recipient: Recipient(try #require(Mailbox("postmaster@mx.example.org"))))
        let greeting = PeerGreeting(name: "client.example")
        #expect(
            actions.first == .beginMessage(Transaction(sender: sender, recipients: [recipient], greeting: greeting)))
        #expect(actions.dropFirst().first == .content(Array("x\r\n".utf8)))
        #expect(machine.greeting == greeting && machine.wantsInput && !machine.isIdle)
    }

    @Test func nothingHappensWhileStoring() {
        var (machine, actions) = Self.machine(after: Self.whole)
        #expect(actions.last == .commitMessage && !machine.wantsInput && !machine.isIdle)
        #expect(machine.receive(.received(Array("QUIT\r\n".utf8))).isEmpty)
        #expect(machine.receive(.timedOut).isEmpty)
        #expect(machine.receive(.senderDecided(nil)).isEmpty)
        #expect(machine.receive(.shuttingDown).isEmpty)
        actions = machine.receive(.stored([Self.stored]))
        #expect(actions.last == .close && actions.count == 2)
        #expect(
            Self.sent(actions).hasSuffix(
                "250 2.0.0 Stored\r\n421 4.3.2 mx.example.org is stopping; try again later\r\n"))
        #expect(machine.isIdle && !machine.wantsInput)
    }

    @Test func aPeerGoneWhileStoringLosesNothing() {
        var (machine, _) = Self.machine(after: Self.whole)
        #expect(machine.receive(.peerClosed) == [.close])
        #expect(machine.receive(.stored([Self.stored])).isEmpty)
    }

    @Test(arguments: [ServerEvent.peerClosed, .timedOut])
    func aMessageBegunIsAborted(by event: ServerEvent) {
        var (machine, _) = Self.machine(after: Self.content)
        let actions = machine.receive(event)
        #expect(actions.first == .abortMessage && actions.last == .close)
        #expect(machine.receive(event).isEmpty, "closed already")
    }

    @Test func aRefusedMessageIsAbortedOnce() {
        var (machine, actions) = Self.machine(after: Self.content + "bare\nline\r\n")
        #expect(actions.contains(.abortMessage))
        #expect(machine.receive(.received(Array("more\nof it\r\n".utf8))).isEmpty)
        #expect(machine.receive(.storageFailed(Reply(452, EnhancedStatusCode(4, 3, 1), "Full"))).isEmpty)
        #expect(machine.receive(.peerClosed) == [.close])
    }

    @Test func oversizeIsAbortedBeforeItsEnd() {
        var configuration = ServerConfiguration(hostname: "mx.example.org")
        configuration.maxMessageSize = 10
        var machine = ServerMachine(configuration: configuration)
        _ = machine.receive(.opened)
        _ = machine.receive(.received(Array((Self.envelope).utf8)))
        _ = machine.receive(.senderDecided(nil))
        _ = machine.receive(.recipientDecided(nil))
        _ = machine.receive(.received(Array("DATA\r\n".utf8)))
        #expect(machine.receive(.received(Array("12345678901".utf8))) == [.abortMessage])
        #expect(machine.receive(.received(Array("12345678901".utf8))).isEmpty)
    }

    /// Storage that calls a failure a success must not make the server acknowledge.
    @Test func noFailureIsAcknowledged() {
        var (machine, _) = Self.machine(after: Self.whole)
        #expect(
            Self.sent(machine.receive(.storageFailed(Self.stored))).hasSuffix(
                "\r\n451 4.3.0 The message could not be stored; try again later\r\n"))
        (machine, _) = Self.machine(after: Self.whole)
        #expect(
            Self.sent(machine.receive(.stored([]))).hasSuffix(
                "\r\n451 4.3.0 The message could not be stored; try again later\r\n"))
    }

    @Test func repliesCannotBeForged() {
        var (machine, _) = Self.machine(after: Self.whole)
        let forged = Reply(550, EnhancedStatusCode(5, 7, 1), "No\r\n250 Yes")
        #expect(Self.sent(machine.receive(.stored([forged]))).hasSuffix("\r\n550 5.7.1 No??250 Yes\r\n"))
    }

    @Test func refusedCommandsAreLoggedBoundedAndPrintable() {
        let (_, actions) = Self.machine(after: "\u{1b}[2J" + String(repeating: "x", count: 1000) + "\r\n")
        #expect(
            actions.first
                == .refused(command: "?[2J" + String(repeating: "x", count: 196), reply: ServerReplies.unknownCommand))
    }

    @Test func bytesBeforeTheBannerAreKept() {
        var machine = ServerMachine(configuration: ServerConfiguration(hostname: "mx.example.org"))
        #expect(machine.receive(.received(Array("NOOP\r\n".utf8))).isEmpty && !machine.wantsInput)
        #expect(Self.sent(machine.receive(.opened)) == "220 mx.example.org ESMTP Pouch\r\n250 2.0.0 Ok\r\n")
    }

    /// RFC 5321 §4.5.1 needs a domain; a host name that is none must not lose postmaster's mail for good.
    @Test func postmasterOfNoDomain() {
        var machine = ServerMachine(configuration: ServerConfiguration(hostname: "not a domain"))
        _ = machine.receive(.opened)
        _ = machine.receive(.received(Array("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<postmaster>\r\n".utf8)))
        #expect(Self.sent(machine.receive(.senderDecided(nil))).contains("\r\n451 4.3.5 "))
    }

    private static func sent(_ actions: [ServerAction]) -> String {
        actions.reduce(into: "") { text, action in
            if case .send(let octets) = action { text += String(decoding: octets, as: UTF8.self) }
        }
    }
}
