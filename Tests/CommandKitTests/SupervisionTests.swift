import Glibc
import Testing

@testable import CommandKit

struct RestartPolicyTests {
    @Test func `pauses grow to a minute`() {
        var policy = RestartPolicy()
        let pauses = (0..<9).map { _ in policy.pause(afterLifeOf: .zero).components.seconds }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60])
    }

    @Test func `a minute of life starts them again`() {
        var policy = RestartPolicy()
        for _ in 0..<4 { _ = policy.pause(afterLifeOf: .milliseconds(59_999)) }
        #expect(policy.pause(afterLifeOf: .milliseconds(59_999)) == .seconds(16))
        #expect(policy.pause(afterLifeOf: .seconds(60)) == .seconds(1))
        #expect(policy.pause(afterLifeOf: .zero) == .seconds(2))
    }
}

/// A machine after its start: 1 agent, 2 relay, 3 listener.
private struct Scene {
    var machine = SupervisionMachine(roles: ServiceRole.allCases)
    var now = Duration.zero

    init(ready: Bool = true) {
        _ = machine.handle(.begin, now: now)
        guard ready else { return }
        for instance in 1...3 { _ = machine.handle(.ready(instance), now: now) }
    }

    /// What happens but for the log.
    mutating func after(_ event: SupervisionMachine.Event, wait: Duration = .zero) -> [SupervisionMachine.Action] {
        now += wait
        return machine.handle(event, now: now).filter { if case .log = $0 { false } else { true } }
    }
}

struct SupervisionMachineTests {
    @Test func `all are started at once, ready when all are`() {
        var machine = SupervisionMachine(roles: [.agent, .relay])
        #expect(machine.handle(.begin, now: .zero) == [.start(.agent, 1), .start(.relay, 2)])
        #expect(machine.handle(.ready(2), now: .zero) == [])
        #expect(machine.handle(.ready(2), now: .zero) == [], "said twice")
        #expect(machine.handle(.ready(9), now: .zero) == [], "nobody's")
        #expect(machine.handle(.ready(1), now: .zero) == [.announceReady])
        #expect(machine.nextDeadline == nil)
    }

    @Test func `who ends is started again after a pause, one line each`() {
        var scene = Scene()
        let actions = scene.machine.handle(.ended(2, .killed(signal: SIGKILL)), now: .zero)
        let line = "mail-relay was ended by signal 9 (killed); it is started again in 1 s"
        #expect(actions == [.log(.error, line)])
        #expect(scene.machine.nextDeadline == .seconds(1))
        #expect(scene.after(.tick, wait: .milliseconds(999)) == [])
        #expect(scene.after(.tick, wait: .milliseconds(1)) == [.start(.relay, 4)])
        #expect(scene.machine.handle(.ready(4), now: scene.now) == [.log(.info, "mail-relay is ready again")])
        #expect(scene.after(.ended(4, .exited(status: 0))) == [], "even status 0 was not asked for")
        #expect(scene.machine.nextDeadline == scene.now + .seconds(2))
    }

    @Test func `a wrong configuration at the start stops everything`() {
        var scene = Scene(ready: false)
        #expect(scene.after(.ended(3, .exited(status: 78))) == [.announceStopping, .send(.terminate, 2)])
        #expect(scene.after(.ended(2, .killed(signal: SIGTERM))) == [.send(.terminate, 1)])
        let sentence = "mail-listen ended with status 78 (the configuration is wrong); its own message says why."
        #expect(
            scene.after(.ended(1, .exited(status: 0))) == [.finish(.configuration, sentence: sentence)])
    }

    @Test func `other statuses at the start are tried again`() {
        var scene = Scene(ready: false)
        #expect(scene.after(.ended(2, .exited(status: 75))) == [])
        #expect(scene.after(.tick, wait: .seconds(1)) == [.start(.relay, 4)])
    }

    @Test func `a wrong configuration later is waited out`() {
        var scene = Scene()
        #expect(scene.after(.ended(3, .exited(status: 78))) == [])
        #expect(scene.after(.tick, wait: .seconds(1)) == [.start(.listener, 4)])
    }

    @Test func `what cannot be started at first ends the start`() {
        var scene = Scene(ready: false)
        let failure = CommandFailure(.osFile, "cannot run x.")
        #expect(scene.after(.cannotStart(1, failure)) == [.announceStopping, .send(.terminate, 3)])
        #expect(scene.after(.ended(3, .exited(status: 0))) == [.send(.terminate, 2)])
        #expect(
            scene.after(.ended(2, .exited(status: 0))) == [.finish(.osFile, sentence: "cannot run x.")])
    }

    @Test func `what cannot be started later is tried again`() {
        var scene = Scene()
        _ = scene.after(.ended(1, .exited(status: 1)))
        #expect(scene.after(.tick, wait: .seconds(1)) == [.start(.agent, 4)])
        #expect(scene.after(.cannotStart(4, CommandFailure(.osError, "no process."))) == [])
        #expect(scene.after(.tick, wait: .seconds(2)) == [.start(.agent, 5)])
    }

    @Test func `the stop goes from listener to agent`() {
        var scene = Scene()
        #expect(scene.after(.terminate) == [.announceStopping, .send(.terminate, 3)])
        #expect(scene.after(.terminate) == [], "said twice")
        #expect(scene.after(.reload) == [], "too late")
        #expect(scene.after(.ended(3, .exited(status: 0))) == [.send(.terminate, 2)])
        #expect(scene.after(.ended(1, .killed(signal: SIGSEGV))) == [], "out of turn, nothing to do")
        #expect(scene.after(.ended(2, .exited(status: 0))) == [.finish(.success, sentence: nil)])
        #expect(scene.machine.nextDeadline == nil)
    }

    @Test func `who does not stop is killed after 30 seconds`() {
        var scene = Scene()
        _ = scene.after(.terminate)
        #expect(scene.machine.nextDeadline == .seconds(30))
        #expect(scene.after(.tick, wait: .seconds(29)) == [])
        #expect(scene.after(.tick, wait: .seconds(1)) == [.kill(3)])
        #expect(scene.after(.ended(3, .killed(signal: SIGKILL))) == [.send(.terminate, 2)])
        #expect(scene.machine.nextDeadline == .seconds(60))
    }

    @Test func `a stop while one waits for its restart`() {
        var scene = Scene()
        _ = scene.after(.ended(3, .exited(status: 1)))
        #expect(scene.after(.terminate) == [.announceStopping, .send(.terminate, 2)])
        #expect(scene.after(.tick, wait: .seconds(5)) == [], "it is not started any more")
    }

    @Test func `a new configuration replaces listener and agent and tells the relay`() {
        var scene = Scene()
        #expect(scene.after(.reload) == [.start(.agent, 4), .send(.hangup, 2), .start(.listener, 5)])
        #expect(scene.after(.ready(5)) == [.send(.terminate, 3)])
        #expect(scene.after(.ended(3, .exited(status: 0))) == [], "no restart: it was replaced")
        #expect(scene.after(.ready(4)) == [.send(.terminate, 1)])
        #expect(scene.machine.nextDeadline == SupervisionMachine.drainLimit)
        #expect(scene.after(.tick, wait: SupervisionMachine.drainLimit) == [.kill(1)])
    }

    @Test func `a new listener that cannot live leaves the old one`() {
        var scene = Scene()
        _ = scene.after(.reload)
        let actions = scene.machine.handle(.ended(5, .exited(status: 78)), now: .zero)
        let line = "mail-listen ended with status 78 (the configuration is wrong); the other mail-listen goes on"
        #expect(actions == [.log(.error, line)])
        #expect(scene.machine.nextDeadline == nil)
    }

    @Test func `an old listener that ends before the new one is ready is no loss`() {
        var scene = Scene()
        _ = scene.after(.reload)
        #expect(scene.after(.ended(3, .exited(status: 1))) == [])
        #expect(scene.after(.ended(5, .exited(status: 1))) == [])
        #expect(scene.after(.tick, wait: .seconds(2)) == [.start(.listener, 6)])
    }

    @Test func `a second configuration while the first is taken`() {
        var scene = Scene()
        _ = scene.after(.reload)
        #expect(scene.after(.reload) == [.send(.hangup, 2)])
        #expect(scene.after(.ready(5)) == [.send(.terminate, 3), .start(.listener, 6)])
        #expect(scene.after(.ready(6)) == [.send(.terminate, 5)])
    }

    @Test func `a new configuration ends the wait for a restart`() {
        var scene = Scene()
        _ = scene.after(.ended(2, .exited(status: 1)))
        #expect(scene.after(.reload) == [.start(.agent, 4), .start(.relay, 5), .start(.listener, 6)])
        #expect(scene.after(.tick, wait: .seconds(9)) == [])
    }

    @Test func `a relay with other keys is ended, then started`() {
        var scene = Scene()
        let change = SupervisionMachine.Event.reloadRestarting([.relay])
        #expect(scene.after(change) == [.start(.agent, 4), .send(.terminate, 2), .start(.listener, 5)])
        #expect(scene.machine.nextDeadline == SupervisionMachine.stopLimit)
        #expect(scene.after(change).isEmpty, "once is enough")
        #expect(scene.after(.ended(2, .exited(status: 0))) == [.start(.relay, 6)], "without a pause")
        #expect(scene.after(.ready(6)) == [])
        #expect(scene.after(change).contains(.send(.terminate, 6)))
        #expect(scene.after(.tick, wait: SupervisionMachine.stopLimit).contains(.kill(6)), "in its own time")
        #expect(scene.after(.ended(6, .killed(signal: SIGKILL))) == [.start(.relay, 7)])
        _ = scene.after(.ended(7, .exited(status: 1)))
        #expect(scene.after(change).contains(.start(.relay, 8)), "instead of waiting")
    }

    @Test func `a stop while the relay is to be started again`() {
        var scene = Scene()
        _ = scene.after(.reloadRestarting([.relay]))
        _ = scene.after(.terminate)
        #expect(!scene.after(.ended(2, .exited(status: 0))).contains { if case .start = $0 { true } else { false } })
    }

    @Test func `draining listeners stop with the rest`() {
        var scene = Scene()
        _ = scene.after(.reload)
        _ = scene.after(.ready(5))
        let first = scene.after(.terminate)
        #expect(Set(first) == [.announceStopping, .send(.terminate, 3), .send(.terminate, 5)])
        #expect(scene.machine.nextDeadline == .seconds(30))
    }
}
