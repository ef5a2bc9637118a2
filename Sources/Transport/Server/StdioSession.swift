// Owns: one session on given descriptors, in the way of inetd: `mail-listen --stdio`. Refuses: event loops; blocking
// reads and writes in one thread are all that one session needs.

import Glibc
import MailModel
import SMTPProtocol
import Synchronization

/// One session over a pair of descriptors, which may be sockets, pipes, files or terminals.
///
/// ```swift
/// let session = StdioSession(configuration: configuration, policy: policy, input: 0, output: 1)
/// session.run()
/// ```
public struct StdioSession {
    private let driver: SessionDriver
    private let answers: AnswerBox
    private let input: Int32
    private let output: Int32
    private let limits: ServerLimits
    private let clock = ContinuousClock()

    /// - Parameter facts: nil reads them from `input`.
    public init(
        configuration: ServerConfiguration, policy: any ServerPolicy, facts: SessionFacts? = nil,
        limits: ServerLimits = ServerLimits(), input: Int32 = 0, output: Int32 = 1
    ) {
        let answers = AnswerBox()
        self.answers = answers
        driver = SessionDriver(
            configuration: configuration, policy: policy, facts: facts ?? SessionFacts(descriptor: input)
        ) { answers.put($0) }
        (self.input, self.output, self.limits) = (input, output, limits)
    }

    /// Serves until the session ends. Returns when the last reply is written and no message is open; a message that was
    /// being stored when the peer left is waited for.
    public func run() {
        // A peer that is gone must show as EPIPE, not end the process while a message is being stored.
        signal(SIGPIPE, SIG_IGN)
        driver.open()
        var isReachable = true
        var deadline = clock.now + limits.idleTimeout
        while !driver.isClosing {
            isReachable = isReachable && write()
            guard isReachable || driver.owesAnswer else { break }
            if step(until: deadline) { deadline = clock.now + limits.idleTimeout }
        }
        if isReachable { isReachable = write() }
        driver.end()
    }

    /// One wait and what follows from it: an answer when one is owed, else bytes of the peer.
    /// - Returns: whether the session went on; bytes alone, without the end of a command, are no progress.
    private func step(until deadline: ContinuousClock.Instant) -> Bool {
        guard !driver.owesAnswer else {
            for answer in answers.takeAll(waiting: true) { driver.take(answer) }
            return true
        }
        for answer in answers.takeAll(waiting: false) { driver.take(answer) }
        guard Self.wait(for: input, POLLIN, max(0, (deadline - clock.now).milliseconds)) else {
            return driver.handle(.timedOut)
        }
        guard let bytes = read() else { return false }
        return driver.handle(bytes.isEmpty ? .peerClosed : .received(bytes))
    }

    /// Empty at the end of the input or when it can't be read any more; nil when there is nothing yet.
    private func read() -> [UInt8]? {
        var error: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 32 << 10) { buffer, count in
            let got = Glibc.read(input, buffer.baseAddress, buffer.count)
            if got < 0 { error = errno }
            count = max(0, got)
        }
        return error == EINTR || error == EAGAIN ? nil : bytes
    }

    /// Writes all replies; false when the peer does not take them.
    private func write() -> Bool {
        let bytes = driver.output
        driver.output = []
        var start = 0
        while start < bytes.count {
            guard Self.wait(for: output, POLLOUT, limits.idleTimeout.milliseconds) else { return false }
            let sent = bytes[start...].withUnsafeBytes { Glibc.write(output, $0.baseAddress, $0.count) }
            if sent < 0, errno != EINTR, errno != EAGAIN { return false }
            start += max(0, sent)
        }
        return true
    }

    /// Whether something happened in time; a descriptor that poll(2) can't judge is left to read and write.
    private static func wait(for descriptor: Int32, _ events: Int32, _ milliseconds: Int64) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        while true {
            let status = poll(&entry, 1, Int32(clamping: milliseconds))
            if status >= 0 { return status > 0 }
            if errno != EINTR { return true }
        }
    }
}

/// Answers on their way to the session's thread. A pipe wakes it; it is closed when the last who could still answer has
/// let go, so a late answer never meets a number that means another file by then.
private final class AnswerBox: Sendable {
    private let answers = Mutex<[SessionAnswer]>([])
    private let bell: (listen: Int32, ring: Int32)

    init() {
        var ends: [Int32] = [-1, -1]
        // Without a pipe (descriptors used up) waiting turns into short sleeps instead of a failure.
        bell = pipe(&ends) == 0 ? (ends[0], ends[1]) : (-1, -1)
        for end in ends where end >= 0 { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    }

    deinit {
        guard bell.listen >= 0 else { return }
        close(bell.listen)
        close(bell.ring)
    }

    func put(_ answer: SessionAnswer) {
        answers.withLock { $0.append(answer) }
        // At most a handful of answers is under way: the pipe is never full.
        var stroke: UInt8 = 1
        if write(bell.ring, &stroke, 1) < 0, bell.ring >= 0, errno == EINTR { write(bell.ring, &stroke, 1) }
    }

    func takeAll(waiting: Bool) -> [SessionAnswer] {
        while true {
            let taken = answers.withLock { list in
                defer { list = [] }
                return list
            }
            guard taken.isEmpty, waiting else { return taken }
            var strokes = [UInt8](repeating: 0, count: 64)
            if read(bell.listen, &strokes, strokes.count) < 0, errno != EINTR { usleep(1000) }
        }
    }
}
