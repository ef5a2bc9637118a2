// Owns: the protocol's lines and the machine that waits for answers, without a program. Refuses: processes.

import Testing

@testable import Routing

@Suite struct TableProtocolTests {
    @Test func requestsReadAsTheManualHasThem() {
        let line = { (operation: TableProtocol.Operation) in
            TableProtocol.line(
                .init(operation: operation, service: .alias, key: "a|b"), table: "t", id: "0123abcd", seconds: 17,
                microseconds: 42)
        }
        #expect(line(.lookup) == "table|0.1|17.000042|t|lookup|alias|0123abcd|a|b\n")
        #expect(line(.check) == "table|0.1|17.000042|t|check|alias|0123abcd|a|b\n")
        #expect(line(.fetch) == "table|0.1|17.000042|t|fetch|alias|0123abcd\n")
        #expect(line(.update) == "table|0.1|17.000042|t|update|0123abcd\n")
        #expect(
            TableProtocol.greeting(table: "t")
                == "config|smtpd-version|7.8.0\nconfig|protocol|0.1\nconfig|tablename|t\nconfig|ready\n")
    }

    @Test(
        arguments: [
            ("lookup-result|1|found|a|b", .found("a|b")), ("lookup-result|1|found|", .found("")),
            ("lookup-result|1|not-found", .notFound), ("lookup-result|1|error", .error("")),
            ("lookup-result|1|error|why", .error("why")), ("check-result|1|found", .found("")),
            ("check-result|1|not-found", .notFound), ("fetch-result|1|found|x", .found("x")),
            ("update-result|1|ok", .found("")), ("update-result|1|error|no", .error("no")),
            ("lookup-result|1|found", nil), ("check-result|1|found|x", nil), ("lookup-result|1", nil),
            ("lookup-result", nil), ("", nil), ("||", nil), ("lookup|1|found|x", nil),
            ("xlookup-result|1|found|x", nil),
            ("update-result|1|found", nil), ("lookup-result|1|ok", nil), ("errorlookup-result|1|not-found", nil),
        ] as [(String, TableProtocol.Answer?)])
    func replies(line: String, answer: TableProtocol.Answer?) {
        #expect(TableProtocol.reply(line)?.answer == answer)
    }
}

@Suite struct ProgramMachineTests {
    private typealias Action = ProgramMachine.Action
    private let start = ContinuousClock.now

    /// A machine whose ids count from 1.
    private func machine() -> ProgramMachine {
        var id: UInt32 = 0
        return ProgramMachine(timeout: .seconds(10)) {
            id += 1
            return id
        }
    }

    private func at(_ seconds: Double) -> ContinuousClock.Instant { start.advanced(by: .seconds(seconds)) }
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func request(_ key: String) -> TableProtocol.Request {
        .init(operation: .lookup, service: .alias, key: key)
    }

    /// One that has registered for aliases.
    private func serving() -> ProgramMachine {
        var machine = machine()
        #expect(machine.start(now: start) == [.start])
        #expect(machine.received(bytes("register|alias\nregister|auth\nregister|ready\n"), now: start) == [])
        return machine
    }

    @Test func oneRequestAtATime() {
        var machine = machine()
        #expect(machine.ask(request("a"), token: 1, now: start) == [.start])
        #expect(machine.ask(request("b"), token: 2, now: start) == [])
        #expect(machine.received(bytes("register|alias\nregister|re"), now: start) == [])
        #expect(machine.received(bytes("ady\n"), now: start) == [.send(request("a"), id: "00000001")])
        #expect(
            machine.received(bytes("lookup-result|00000001|found|fred\r\n"), now: start)
                == [.answer(token: 1, .found("fred")), .send(request("b"), id: "00000002")])
        #expect(
            machine.received(bytes("lookup-result|00000002|not-found\n"), now: start) == [.answer(token: 2, .notFound)])
        #expect(machine.deadline == nil)
    }

    @Test func whatItDoesNotServeIsNotAsked() {
        var machine = serving()
        let other = TableProtocol.Request(operation: .check, service: .domain, key: "x")
        #expect(
            machine.ask(other, token: 1, now: start) == [
                .answer(token: 1, .failed("its program does not serve domain"))
            ])
    }

    @Test(arguments: ["a\nb", "a\rb", "a\u{0}b"])
    func aLineEndInAKeyIsNotSent(key: String) {
        var machine = serving()
        #expect(
            machine.ask(request(key), token: 1, now: start)
                == [.answer(token: 1, .failed("the key holds a line end, which can't be asked for"))])
    }

    @Test func aTimeoutIsOneFailureAndTheLateAnswerIsDropped() {
        var machine = serving()
        _ = machine.ask(request("a"), token: 1, now: start)
        _ = machine.ask(request("b"), token: 2, now: at(5))
        #expect(machine.deadline == at(10) && machine.tick(now: at(9.9)) == [])
        #expect(
            machine.tick(now: at(10))
                == [
                    .answer(token: 1, .failed("its program did not answer within 10s")),
                    .send(request("b"), id: "00000002"),
                ])
        let late = machine.received(bytes("lookup-result|00000001|found|wilma\n"), now: at(11))
        #expect(late == [.say("its program wrote a line that came late or twice. More of these are not told.")])
        #expect(
            machine.received(bytes("lookup-result|00000002|found|fred\n"), now: at(12))
                == [.answer(token: 2, .found("fred"))])
    }

    @Test func aHalfAnswerDoesNotSpoilTheNext() {
        var machine = serving()
        _ = machine.ask(request("a"), token: 1, now: start)
        #expect(machine.received(bytes("error"), now: at(1)) == [])
        _ = machine.tick(now: at(10))
        _ = machine.ask(request("b"), token: 2, now: at(10))
        #expect(
            machine.received(bytes("lookup-result|00000002|found|fred\n"), now: at(11))
                == [.answer(token: 2, .found("fred"))])
    }

    @Test(arguments: [
        "garbage", "", "lookup-result|00000099|found|x", "check-result|00000001|found", "lookup-result|1|found|x",
        "lookup-result|00000001|found", "register|ready",
    ])
    func garbageCostsOneRequest(line: String) {
        var machine = serving()
        _ = machine.ask(request("a"), token: 1, now: start)
        let actions = machine.received(bytes(line + "\n"), now: start)
        guard case .say = actions.first, case .answer(1, .failed) = actions.last, actions.count == 2 else {
            Issue.record("\(actions)")
            return
        }
        #expect(machine.ask(request("b"), token: 2, now: start) == [.send(request("b"), id: "00000002")])
        // What was wrong is said once.
        let again = machine.received(bytes(line + "\n"), now: start)
        #expect(!again.contains { if case .say = $0 { true } else { false } }, "\(again)")
    }

    @Test func octetsThatAreNoTextAreGarbage() {
        var machine = serving()
        _ = machine.ask(request("a"), token: 1, now: start)
        let actions = machine.received(bytes("lookup-result|00000001|found|") + [0xFF, 10], now: start)
        #expect(actions.last == .answer(token: 1, .failed("its program wrote a line that is no answer")))
    }

    @Test func anAnswerTwiceIsOneAnswer() {
        var machine = serving()
        _ = machine.ask(request("a"), token: 1, now: start)
        _ = machine.ask(request("b"), token: 2, now: start)
        let line = "lookup-result|00000001|found|fred\n"
        let actions = machine.received(bytes(line + line), now: start)
        #expect(
            actions == [
                .answer(token: 1, .found("fred")), .send(request("b"), id: "00000002"),
                .say("its program wrote a line that came late or twice. More of these are not told."),
            ])
        #expect(
            machine.received(bytes("lookup-result|00000002|not-found\n"), now: start) == [.answer(token: 2, .notFound)])
    }

    @Test func aDeadOneIsStartedAgainWithGrowingPauses() {
        var machine = serving()
        _ = machine.ask(request("a"), token: 1, now: start)
        _ = machine.ask(request("b"), token: 2, now: start)
        // At once for the one that waits; the one that met the end is not tried again.
        #expect(
            machine.ended("ended with status 3", now: start) == [
                .answer(token: 1, .failed("its program ended with status 3")),
                .say("its program ended with status 3. It is started again."), .start,
            ])
        for (pause, time) in zip([1, 2, 4, 8, 16, 32, 60, 60], [0, 1, 3, 7, 15, 31, 63, 123]) {
            let text = pause == 60 ? "1m" : "\(pause)s"
            let said = machine.ended("ended", now: at(Double(time)))
            #expect(said.contains(.say("its program ended. It is started again after \(text).")), "\(said)")
            let refusal = "its program ended, and is not started again before a pause is over"
            #expect(
                machine.ask(request("c"), token: 3, now: at(Double(time) + 0.5))
                    == [.answer(token: 3, .failed(refusal))])
            #expect(machine.ask(request("d"), token: 4, now: at(Double(time + pause))) == [.start])
        }
        // A good life ends the pauses.
        _ = machine.received(bytes("register|ready\n"), now: at(200))
        #expect(machine.ended("ended", now: at(1000)).contains(.say("its program ended. It is started again.")))
    }

    @Test func oneThatHangsIsEnded() {
        var machine = serving()
        for number in 1...3 {
            let now = at(Double(number) * 20)
            _ = machine.ask(request("a"), token: number, now: now)
            let actions = machine.tick(now: now.advanced(by: .seconds(10)))
            #expect(actions.contains(.kill) == (number == 3), "\(number): \(actions)")
        }
    }

    @Test func oneThatDoesNotRegisterIsEnded() {
        var machine = machine()
        _ = machine.ask(request("a"), token: 1, now: start)
        let actions = machine.tick(now: at(10))
        #expect(actions.first == .kill && actions.contains(.answer(token: 1, .failed("its program was busy for 10s"))))
    }

    @Test(arguments: ["hello\n", "lookup-result|1|found|x\n", "\n"])
    func aWrongGreetingEndsIt(text: String) {
        var machine = machine()
        _ = machine.ask(request("a"), token: 1, now: start)
        _ = machine.ask(request("b"), token: 2, now: start)
        let actions = machine.received(bytes(text + "register|alias\nregister|ready\n"), now: start)
        // What stands behind the wrong line is not taken for the greeting of the next life.
        #expect(actions.first == .kill && actions.last == .start)
        #expect(
            machine.received(bytes("register|alias\nregister|ready\n"), now: start)
                == [.send(request("a"), id: "00000001")])
    }

    @Test func linesAreBounded() {
        var machine = serving()
        _ = machine.ask(request("a"), token: 1, now: start)
        let actions = machine.received([UInt8](repeating: 120, count: TableProtocol.lineLimit + 1), now: start)
        #expect(actions.first == .kill)
        // The rest of the old life is nothing to the new one.
        #expect(machine.received(bytes("register|alias\nregister|ready\n"), now: start) == [])
    }

    @Test func chatterIsBounded() {
        var machine = serving()
        let actions = machine.received(bytes(String(repeating: "x\n", count: 2000)), now: start)
        #expect(actions.count == 3 && actions.contains(.kill))
    }

    @Test func whoWaitsIsBounded() {
        var machine = machine()
        for number in 0..<ProgramMachine.queueLimit { _ = machine.ask(request("a"), token: number, now: start) }
        #expect(
            machine.ask(request("b"), token: -1, now: start)
                == [.answer(token: -1, .failed("\(ProgramMachine.queueLimit) lookups wait for its program already"))])
        // All that wait are told in time, whoever they wait for.
        #expect(
            machine.tick(now: at(10)).count { if case .answer = $0 { true } else { false } }
                == ProgramMachine.queueLimit)
    }

    @Test func noiseIsAlwaysAnswered() {
        var noise = Noise(state: 5)
        let scraps = [
            "lookup-result|", "00000001", "|found|", "not-found", "\n", "register|", "alias", "ready", "error", "|",
            "x",
        ]
        for _ in 0..<300 {
            var machine = machine()
            var (asked, answered) = (0, 0)
            var now = start
            for _ in 0..<60 {
                now = now.advanced(by: .milliseconds(Int(noise.next() % 4000)))
                var actions: [Action]
                switch noise.next() % 8 {
                case 0, 1:
                    asked += 1
                    actions = machine.ask(request("k"), token: asked, now: now)
                case 2: actions = machine.tick(now: now)
                case 3 where noise.next() % 4 == 0: actions = machine.ended("ended", now: now)
                default:
                    let text = (0..<5).map { _ in scraps[Int(noise.next() % UInt64(scraps.count))] }.joined()
                    actions = machine.received(bytes(text), now: now)
                }
                answered += actions.count { if case .answer = $0 { true } else { false } }
            }
            while let deadline = machine.deadline {
                answered += machine.tick(now: deadline).count { if case .answer = $0 { true } else { false } }
            }
            #expect(answered == asked)
        }
    }
}
