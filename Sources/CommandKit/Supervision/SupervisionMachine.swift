// Owns: what to do when children get ready, end, or a signal comes. Refuses: processes, clocks, descriptors
// (SupervisionLoop).
//
// A child:      starting -> ready -> ending          (ending: it was told to)
// The whole:    running (not yet ready, then ready) -> stopping, role after role -> finished
//
// A role has at most one child that is starting and one that is ready; the latter is replaced when the former is ready.

public struct SupervisionMachine {
    /// Numbers the children; never used twice.
    public typealias Instance = Int

    public enum Event: Sendable {
        case begin
        case ready(Instance)
        case ended(Instance, ChildOutcome)
        /// `.start` could not be done.
        case cannotStart(Instance, CommandFailure)
        /// SIGTERM, SIGINT.
        case terminate
        /// SIGHUP, after the new configuration was found good.
        case reload
        /// The same, where these must end and be started again to take it: their keys changed.
        case reloadRestarting(Set<ServiceRole>)
        /// Time passed; `nextDeadline` says when to come.
        case tick
    }

    public enum Action: Hashable, Sendable {
        case start(ServiceRole, Instance)
        case send(Signal, Instance)
        case kill(Instance)
        case announceReady
        case announceStopping
        case log(Severity, String)
        /// All children are gone. A sentence when this is no orderly stop.
        case finish(ExitStatus, sentence: String?)
    }

    public enum Severity: Hashable, Sendable { case info, warning, error }

    /// From SIGTERM to SIGKILL when everything stops.
    static let stopLimit = Duration.seconds(30)
    /// The same for a child that was replaced: it may finish what it began. More than the ten minutes that RFC 5321
    /// §4.5.3.2.6 gives a client for its final dot.
    static let drainLimit = Duration.seconds(660)

    private enum ChildState { case starting, ready, ending }
    private struct Child {
        let role: ServiceRole
        let started: Duration
        var state = ChildState.starting
        /// When it is killed.
        var killAt: Duration?
        /// A new configuration came while it was starting: it may have read the old one.
        var isOutdated = false
        /// It was told to end so that another one is started, when it has.
        var startsAgain = false
    }
    private struct Ending { var status: ExitStatus, sentence: String? }
    private enum Phase { case running(isReady: Bool), stopping(Ending), finished }

    private let roles: [ServiceRole]
    private var phase = Phase.running(isReady: false)
    private var children: [Instance: Child] = [:]
    private var restarts: [ServiceRole: Duration] = [:]
    private var policies: [ServiceRole: RestartPolicy] = [:]
    private var lastInstance = 0
    private var actions: [Action] = []

    /// - Parameter roles: those to run; without listeners there is no mail-listen.
    public init(roles: [ServiceRole]) { self.roles = roles }

    /// When `.tick` is due, on the clock of `now`; nil when nothing waits.
    public var nextDeadline: Duration? {
        (children.values.compactMap(\.killAt) + restarts.values).min()
    }

    /// - Parameter now: a monotonic clock; never goes back.
    public mutating func handle(_ event: Event, now: Duration) -> [Action] {
        actions = []
        switch event {
        case .begin: for role in roles { start(role, now) }
        case .ready(let instance): becameReady(instance, now)
        case .ended(let instance, let outcome): ended(instance, outcome, now)
        case .cannotStart(let instance, let failure): couldNotStart(instance, failure, now)
        case .terminate: stop(Ending(status: .success, sentence: nil), now)
        case .reload: reload(now)
        case .reloadRestarting(let roles): reload(now, restarting: roles)
        case .tick: tick(now)
        }
        return actions
    }

    private mutating func start(_ role: ServiceRole, _ now: Duration) {
        lastInstance += 1
        children[lastInstance] = Child(role: role, started: now)
        restarts[role] = nil
        actions.append(.start(role, lastInstance))
    }

    private mutating func becameReady(_ instance: Instance, _ now: Duration) {
        guard let child = children[instance], child.state == .starting else { return }
        children[instance]?.state = .ready
        for (old, other) in children where old != instance && other.role == child.role && other.state == .ready {
            children[old]?.state = .ending
            children[old]?.killAt = now + Self.drainLimit
            actions.append(.send(.terminate, old))
        }
        guard case .running(let wasReady) = phase else { return }
        if wasReady {
            actions.append(.log(.info, "\(child.role) is ready again"))
        } else if roles.allSatisfy({ role in children.values.contains { $0.role == role && $0.state == .ready } }) {
            phase = .running(isReady: true)
            actions.append(.announceReady)
        }
        if child.isOutdated { reload(child.role, now) }
    }

    private mutating func ended(_ instance: Instance, _ outcome: ChildOutcome, _ now: Duration) {
        guard let child = children.removeValue(forKey: instance) else { return }
        guard case .running(let isReady) = phase else { return stopNext(now) }
        let what = "\(child.role) \(outcome)"
        if !isReady, child.state == .starting, case .exited(let number) = outcome,
            let status = ExitStatus(rawValue: number), [.configuration, .usage].contains(status)
        {
            return stop(Ending(status: status, sentence: "\(what); its own message says why."), now)
        }
        if child.state == .ending {
            actions.append(.log(outcome.isSuccess ? .info : .warning, "the replaced \(what)"))
            if child.startsAgain { start(child.role, now) }
            return
        }
        scheduleRestart(child, what, now)
    }

    private mutating func couldNotStart(_ instance: Instance, _ failure: CommandFailure, _ now: Duration) {
        guard let child = children.removeValue(forKey: instance) else { return }
        guard case .running(let isReady) = phase else { return stopNext(now) }
        // At the first start a person is watching; later, mail waits for whatever passes.
        guard isReady else { return stop(Ending(status: failure.status, sentence: failure.sentence), now) }
        scheduleRestart(child, failure.sentence, now)
    }

    private mutating func scheduleRestart(_ child: Child, _ what: String, _ now: Duration) {
        guard !children.values.contains(where: { $0.role == child.role && $0.state != .ending }) else {
            return actions.append(.log(.error, "\(what); the other \(child.role) goes on"))
        }
        let pause = policies[child.role, default: RestartPolicy()].pause(afterLifeOf: now - child.started)
        restarts[child.role] = now + pause
        actions.append(.log(.error, "\(what); it is started again in \(pause.components.seconds) s"))
    }

    private mutating func reload(_ now: Duration, restarting: Set<ServiceRole> = []) {
        guard case .running = phase else { return }
        for role in roles { if restarting.contains(role) { restart(role, now) } else { reload(role, now) } }
    }

    /// For a role whose children can't live side by side, when a signal does not tell them enough.
    private mutating func restart(_ role: ServiceRole, _ now: Duration) {
        if restarts[role] != nil { return start(role, now) }
        for (instance, child) in children where child.role == role && child.state != .ending {
            children[instance]?.state = .ending
            children[instance]?.startsAgain = true
            children[instance]?.killAt = now + Self.stopLimit
            actions.append(.send(.terminate, instance))
        }
    }

    private mutating func reload(_ role: ServiceRole, _ now: Duration) {
        if restarts[role] != nil { return start(role, now) }
        let current = children.filter { $0.value.role == role && $0.value.state != .ending }
        if let starting = current.first(where: { $0.value.state == .starting }) {
            children[starting.key]?.isOutdated = true
        } else if let ready = current.first {
            children[ready.key]?.isOutdated = false
            switch role.reload {
            case .hangup: actions.append(.send(.hangup, ready.key))
            case .replacement: start(role, now)
            }
        }
    }

    private mutating func stop(_ ending: Ending, _ now: Duration) {
        guard case .running = phase else { return }
        phase = .stopping(ending)
        restarts = [:]
        actions.append(.announceStopping)
        stopNext(now)
    }

    /// Tells the children of the first role that still has some to end; finishes when none has.
    private mutating func stopNext(_ now: Duration) {
        guard case .stopping(let ending) = phase else { return }
        guard let role = ServiceRole.stopOrder.first(where: { role in children.values.contains { $0.role == role } })
        else {
            phase = .finished
            return actions.append(.finish(ending.status, sentence: ending.sentence))
        }
        let limit = now + Self.stopLimit
        for (instance, child) in children where child.role == role {
            // Told already, by an earlier call.
            if let killAt = child.killAt, killAt <= limit { continue }
            children[instance]?.state = .ending
            children[instance]?.killAt = limit
            actions.append(.send(.terminate, instance))
        }
    }

    private mutating func tick(_ now: Duration) {
        for (instance, child) in children {
            guard let killAt = child.killAt, killAt <= now else { continue }
            // SIGKILL cannot fail; should the end not be seen, it is sent again.
            children[instance]?.killAt = now + Self.stopLimit
            actions.append(.log(.warning, "\(child.role) did not end when told to; it is killed"))
            actions.append(.kill(instance))
        }
        for (role, due) in restarts where due <= now { start(role, now) }
    }
}
