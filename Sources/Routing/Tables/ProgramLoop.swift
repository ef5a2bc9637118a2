// Owns: the thread of one table's program: what ProgramMachine wants is done here, what happens is told to it.
// Refuses: deciding.

import CLinux
import Glibc
import Synchronization
import SystemPackage

/// A lookup for the program, and whoever waits for its outcome.
struct ProgramRequest: Sendable {
    var request: TableProtocol.Request
    /// Called once, on the program's thread; must not block.
    var answer: @Sendable (ProgramMachine.Outcome) -> Void
}

/// The letter box of a loop. One loop empties it, on a thread of its own that begins with the first letter: a slow table
/// has no other to hold up.
final class ProgramLoop: Sendable {
    private let path: String
    private let arguments: [String]
    private let table: String
    private let timeout: Duration
    private let report: @Sendable (String) -> Void
    private let box = Mutex(Box())

    fileprivate struct Box {
        var requests: [ProgramRequest] = []
        var isStopping = false
        /// A byte into it wakes the thread; nil before there is one.
        var bell: Int32?
    }

    init(
        path: String, arguments: [String], table: String, timeout: Duration,
        report: @escaping @Sendable (String) -> Void
    ) {
        (self.path, self.arguments, self.table) = (path, arguments, table)
        (self.timeout, self.report) = (timeout, report)
    }

    func ask(_ request: ProgramRequest) {
        let isTaken = box.withLock { box in
            guard wake(&box) else { return false }
            box.requests.append(request)
            return true
        }
        if !isTaken { request.answer(.failed("the system has no thread or descriptor for its program")) }
    }

    /// Starts the program although nobody asks.
    func start() { box.withLock { _ = wake(&$0) } }

    /// Ends program and thread without waiting for them.
    func stop() {
        box.withLock { box in
            box.isStopping = true
            guard let bell = box.bell else { return }
            ring(bell)
            close(bell)
            box.bell = nil
        }
    }

    /// False when there can't be a thread.
    private func wake(_ box: inout Box) -> Bool {
        if let bell = box.bell {
            ring(bell)
            return true
        }
        var pair: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        guard !box.isStopping, socketpair(AF_UNIX, type, 0, &pair) == 0 else { return false }
        let bell = pair[0]
        guard startThread({ [self] in self.run(bell) }) else {
            pair.forEach { close($0) }
            return false
        }
        box.bell = pair[1]
        return true
    }

    /// A full box rings already.
    private func ring(_ bell: Int32) {
        var byte: UInt8 = 0
        _ = send(bell, &byte, 1, Int32(MSG_NOSIGNAL))
    }

    // MARK: The thread

    private func run(_ bell: Int32) {
        var round = ProgramRound(
            path: path, arguments: arguments, table: table, timeout: timeout, report: report)
        round.start()
        while true {
            let (requests, isStopping) = box.withLock { box in
                defer { box.requests = [] }
                return (box.requests, box.isStopping)
            }
            guard !isStopping else {
                for request in requests { request.answer(.failed("its program is being stopped")) }
                break
            }
            round.take(requests)
            round.wait(bell)
        }
        round.stop()
        close(bell)
    }

    private func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
        let work = Unmanaged.passRetained(Work(body))
        var id = pthread_t()
        let status = pthread_create(
            &id, nil,
            { argument in
                pouch_name_thread("table program")
                if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, work.toOpaque())
        guard status == 0 else {
            work.release()
            return false
        }
        pthread_detach(id)
        return true
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

/// What the thread holds.
private struct ProgramRound: ~Copyable {
    let path: String
    let arguments: [String]
    let table: String
    let report: @Sendable (String) -> Void
    private var machine: ProgramMachine
    private var process: ProgramProcess?
    private var outgoing: [UInt8] = []
    private var answers: [Int: @Sendable (ProgramMachine.Outcome) -> Void] = [:]
    private var token = 0

    init(
        path: String, arguments: [String], table: String, timeout: Duration,
        report: @escaping @Sendable (String) -> Void
    ) {
        (self.path, self.arguments, self.table, self.report) = (path, arguments, table, report)
        machine = ProgramMachine(timeout: timeout)
    }

    mutating func start() { perform(machine.start(now: .now)) }

    mutating func take(_ requests: [ProgramRequest]) {
        for request in requests {
            token += 1
            answers[token] = request.answer
            perform(machine.ask(request.request, token: token, now: .now))
        }
    }

    mutating func stop() {
        if let running = process.take() { _ = running.end() }
        for answer in answers.values { answer(.failed("its program is being stopped")) }
    }

    /// Waits for the bell, the program or the machine's time, and tells the machine.
    mutating func wait(_ bell: Int32) {
        var entries = [pollfd(fd: bell, events: Int16(POLLIN), revents: 0)]
        if let socket = process?.socket {
            let events = POLLIN | (outgoing.isEmpty ? 0 : POLLOUT)
            entries.append(pollfd(fd: socket, events: Int16(events), revents: 0))
        }
        guard poll(&entries, nfds_t(entries.count), milliseconds) >= 0 || errno == EINTR else { return }
        if entries[0].revents != 0 { Self.empty(bell) }
        if entries.count > 1 {
            if entries[1].revents & Int16(POLLOUT) != 0 { write() }
            if entries[1].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 { read() }
        }
        perform(machine.tick(now: .now))
    }

    /// -1 waits without end; rounded up, so that the time has come afterwards.
    private var milliseconds: Int32 {
        guard let deadline = machine.deadline else { return -1 }
        let left = ContinuousClock.now.duration(to: deadline)
        guard left > .zero else { return 0 }
        return Int32(
            clamping: left.components.seconds.multipliedReportingOverflow(by: 1000).partialValue
                + left.components.attoseconds / 1_000_000_000_000_000 + 1)
    }

    private static func empty(_ bell: Int32) {
        var bytes = [UInt8](repeating: 0, count: 512)
        while recv(bell, &bytes, bytes.count, Int32(MSG_DONTWAIT)) == bytes.count {}
    }

    // MARK: What the machine wants

    private mutating func perform(_ actions: [ProgramMachine.Action]) {
        var queue = actions[...]
        while let action = queue.popFirst() {
            switch action {
            case .start: queue += launch()
            case .send(let request, let id): send(request, id: id)
            case .kill:
                if let running = process.take() { _ = running.end() }
            case .answer(let token, let outcome): answers.removeValue(forKey: token)?(outcome)
            case .say(let sentence): report("table \(table): \(sentence)")
            }
        }
    }

    private mutating func launch() -> [ProgramMachine.Action] {
        outgoing = []
        do throws(UnreadableFile) {
            process = try ProgramProcess(path: path, arguments: arguments, table: table)
            outgoing = Array(TableProtocol.greeting(table: table).utf8)
            write()
            return []
        } catch {
            return machine.ended(error.reason, now: .now)
        }
    }

    private mutating func send(_ request: TableProtocol.Request, id: String) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let line = TableProtocol.line(
            request, table: table, id: id, seconds: time.tv_sec, microseconds: time.tv_nsec / 1000)
        outgoing += line.utf8
        write()
    }

    /// What does not fit waits. A program that does not read any more is found by the time it takes.
    private mutating func write() {
        guard let socket = process?.socket, !outgoing.isEmpty else { return }
        let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
        let count = outgoing.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, flags) }
        if count > 0 { outgoing.removeFirst(count) }
    }

    private mutating func read() {
        guard let socket = process?.socket else { return }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(socket, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        if count > 0 { return perform(machine.received(bytes[..<count], now: .now)) }
        if count < 0, [EAGAIN, EINTR].contains(errno) { return }
        guard let running = process.take() else { return }
        perform(machine.ended(running.end(), now: .now))
    }
}
