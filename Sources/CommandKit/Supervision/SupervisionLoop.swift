// Owns: the one loop of mail-supervise: signals, readiness pipes and timers in, processes out. Refuses: decisions
// (SupervisionMachine), what the children are (its delegate).

import Glibc
import Logging
import SystemPackage

/// What the loop asks of the program around it.
public protocol SupervisionDelegate: AnyObject {
    /// What to run now; asked anew for every start. Standard input and `--ready-fd` are added by the loop.
    func launch(_ role: ServiceRole) throws(CommandFailure) -> ProcessLaunch
    /// SIGHUP: read the configuration again. Throwing keeps everything as it is.
    ///
    /// - Returns: the programs that must be started again to take it.
    func reload() throws(CommandFailure) -> Set<ServiceRole>
    /// Every child is ready.
    func becameReady()
    func isStopping()
}

/// Runs on the main thread, which must be the only one: children get SIGTERM when it ends (PR_SET_PDEATHSIG).
public final class SupervisionLoop {
    private var machine: SupervisionMachine
    private let delegate: any SupervisionDelegate
    private let log: Logger
    private let signals: SignalDescriptor
    private let null: FileDescriptor
    private let start = ContinuousClock.now
    private var children: [SupervisionMachine.Instance: ChildProcess] = [:]
    private var pipes: [SupervisionMachine.Instance: FileDescriptor] = [:]
    private var finish: CommandFailure?

    public init(roles: [ServiceRole], delegate: any SupervisionDelegate, log: Logger) throws(CommandFailure) {
        machine = SupervisionMachine(roles: roles)
        (self.delegate, self.log) = (delegate, log)
        signals = try SignalDescriptor([.terminate, .interrupt, .hangup, .child])
        do {
            null = try FileDescriptor.open("/dev/null", .readOnly)
        } catch {
            throw CommandFailure(.osFile, "cannot open /dev/null: \(error).")
        }
    }

    /// Returns when every child is gone.
    /// - Throws: what the children's end means when it was not asked for.
    public func run() throws(CommandFailure) {
        perform(.begin)
        while finish == nil {
            try wait()
            // Readiness first: a child may say it and end before we look.
            for instance in pipes.keys.sorted() where isReady(instance) { perform(.ready(instance)) }
            try takeSignals()
            perform(.tick)
        }
        if let finish, finish.status != .success { throw finish }
    }

    private var now: Duration { ContinuousClock.now - start }

    private func wait() throws(CommandFailure) {
        var entries = [pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)]
        entries += pipes.values.map { pollfd(fd: $0.rawValue, events: Int16(POLLIN), revents: 0) }
        let limit = machine.nextDeadline.map { Wait.milliseconds($0 - now) } ?? -1
        guard poll(&entries, nfds_t(entries.count), limit) >= 0 || errno == EINTR else {
            throw CommandFailure(.osError, "wait for children", .last)
        }
    }

    /// Whether the child wrote its newline; its pipe is closed then, and when the child closed it without a word.
    private func isReady(_ instance: SupervisionMachine.Instance) -> Bool {
        guard let pipe = pipes[instance] else { return false }
        var byte: UInt8 = 0
        let count = read(pipe.rawValue, &byte, 1)
        if count < 0, [EAGAIN, EINTR].contains(errno) { return false }
        close(instance)
        return count == 1 && byte == UInt8(ascii: "\n")
    }

    private func close(_ instance: SupervisionMachine.Instance) {
        if let pipe = pipes.removeValue(forKey: instance) { Glibc.close(pipe.rawValue) }
    }

    private func takeSignals() throws(CommandFailure) {
        while let signal = try signals.next() {
            switch signal {
            case .terminate, .interrupt: perform(.terminate)
            case .hangup: reload()
            case .child: try reap()
            case .user1: break
            }
        }
    }

    private func reload() {
        let restarting: Set<ServiceRole>
        do throws(CommandFailure) {
            restarting = try delegate.reload()
        } catch {
            log.error("\(error.sentence) Everything goes on with the old configuration.")
            return
        }
        log.info("the configuration was read again")
        perform(.reloadRestarting(restarting))
    }

    /// One SIGCHLD may stand for several children. Strangers are reaped too: in a container we may be process 1.
    private func reap() throws(CommandFailure) {
        while let (pid, outcome) = try ChildProcess.nextEnded() {
            guard let instance = children.first(where: { $0.value.pid == pid })?.key else { continue }
            children[instance] = nil
            // What it still said before its end counts.
            if isReady(instance) { perform(.ready(instance)) }
            close(instance)
            perform(.ended(instance, outcome))
        }
    }

    private func perform(_ event: SupervisionMachine.Event) {
        var events = [event]
        // A start that fails is an event of its own; each makes at most one more.
        while let next = events.popLast() {
            for action in machine.handle(next, now: now) {
                if let failed = perform(action) { events.append(failed) }
            }
        }
    }

    private func perform(_ action: SupervisionMachine.Action) -> SupervisionMachine.Event? {
        switch action {
        case .start(let role, let instance): return start(role, instance)
        case .send(let signal, let instance): children[instance]?.send(signal)
        case .kill(let instance): children[instance]?.kill()
        case .announceReady: delegate.becameReady()
        case .announceStopping: delegate.isStopping()
        case .log(.info, let text): log.info("\(text)")
        case .log(.warning, let text): log.warning("\(text)")
        case .log(.error, let text): log.error("\(text)")
        case .finish(let status, let sentence): finish = CommandFailure(status, sentence ?? "")
        }
        return nil
    }

    private func start(
        _ role: ServiceRole, _ instance: SupervisionMachine.Instance
    ) -> SupervisionMachine.Event? {
        do throws(CommandFailure) {
            var launch = try delegate.launch(role)
            let (reader, writer) = try readinessPipe()
            defer { Glibc.close(writer.rawValue) }
            pipes[instance] = reader
            let number = launch.nextDescriptor
            launch.mappings += [.init(null.rawValue, as: 0), .init(writer.rawValue, as: number)]
            launch.arguments += ["--ready-fd", String(number)]
            launch.deathSignal = .terminate
            let child = try launch.start()
            children[instance] = child
            log.info("started \(role)", metadata: ["pid": "\(child.pid)"])
            return nil
        } catch {
            close(instance)
            return .cannotStart(instance, error)
        }
    }

    private func readinessPipe() throws(CommandFailure) -> (FileDescriptor, FileDescriptor) {
        do {
            let (reader, writer) = try FileDescriptor.pipe()
            _ = fcntl(reader.rawValue, F_SETFL, O_NONBLOCK)
            return (reader, writer)
        } catch {
            throw CommandFailure(.osError, "cannot make a pipe: \(error).")
        }
    }
}
