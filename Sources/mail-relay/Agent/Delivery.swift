// Owns: the agent's side of one delivery: the pipes of one process, what it is still to get, what it answered. Refuses:
// when to start it, when it may end (CourierLoop); what it does with the content (DeliveryChild).
//
//   waiting --start--> running --answer, end of its pipe, deadline, break-off--> ended
//
// Confined to the courier's thread.

import CommandKit
import DequeModule
import Glibc
import MailModel
import SMTPProtocol
import SystemPackage

final class Delivery {
    let order: DeliveryOrder
    /// nil until it is known what becomes of the recipient.
    private(set) var reply: Reply?
    /// When the process counts as stuck; nil while it owes nothing.
    private(set) var deadline: ContinuousClock.Instant?

    private let limits: Courier.Limits
    private var child: ChildProcess?
    private var chunks = Deque<Chunk>()
    /// Octets of the first chunk that the process has taken.
    private var offset = 0
    /// Set by the final dot.
    private var totalOctets: Int?
    private var content: Int32 = -1
    private var job: Int32 = -1
    private var answer: Int32 = -1
    private var line: [UInt8] = []
    private var saidCommit = false

    init(_ order: DeliveryOrder, _ limits: Courier.Limits) { (self.order, self.limits) = (order, limits) }

    deinit { closeAll() }

    /// Nothing more is wanted of the process but its end.
    var isOver: Bool { answer < 0 }

    /// What to poll for: the pipe that takes content, when there is some, and the one that brings the answer.
    var polls: [pollfd] {
        var polls: [pollfd] = []
        if content >= 0, !chunks.isEmpty { polls.append(pollfd(fd: content, events: Int16(POLLOUT), revents: 0)) }
        if answer >= 0 { polls.append(pollfd(fd: answer, events: Int16(POLLIN), revents: 0)) }
        return polls
    }

    /// - Throws: why the process could not be started; the recipient has its reply then.
    func start(_ launch: ProcessLaunch) throws(CommandFailure) {
        var launch = launch
        var theirs: [FileDescriptor] = []
        defer { for end in theirs { Glibc.close(end.rawValue) } }
        do {
            // In the order of the child's numbers. Its standard error must not be our log: the process is the user's.
            content = try Self.pipe(&theirs, weWrite: true)
            answer = try Self.pipe(&theirs, weWrite: false)
            theirs.append(try FileDescriptor.open("/dev/null", .writeOnly))
            job = try Self.pipe(&theirs, weWrite: true)
            launch.mappings = theirs.enumerated().map { .init($1.rawValue, as: Int32($0)) }
            child = try launch.start()
        } catch {
            end(Self.notNow("the delivery could not be started"))
            if let failure = error as? CommandFailure { throw failure }
            throw CommandFailure(.osError, "cannot start a delivery: \(error).")
        }
        let line = order.job.line
        // The pipe is empty: it takes a line of this size whole.
        guard line.count <= DeliveryJob.lineLimit, write(job, line, line.count) == line.count else {
            return end(Self.notNow("the delivery could not be started"))
        }
        deadline = .now + limits.stall
        push()
    }

    /// Refuses the recipient before anything was started.
    func refuse(_ reply: Reply) { end(reply) }

    func append(_ chunk: Chunk) {
        guard reply == nil else { return }
        if chunks.isEmpty { deadline = .now + limits.stall }
        chunks.append(chunk)
    }

    /// The content is complete.
    func finish(octets: Int) {
        guard reply == nil else { return }
        totalOctets = octets
        push()
    }

    /// Takes the process out; whoever takes it waits for its end.
    func takeChild() -> ChildProcess? {
        defer { child = nil }
        return child
    }

    /// The peer went away before the final dot: closing the job's pipe without the final word says it.
    func breakOff() {
        closeAll()
        chunks.removeAll()
        deadline = nil
    }

    /// Does what can be done without waiting.
    func step() {
        push()
        if answer >= 0 { readAnswer() }
    }

    func expire() {
        child?.kill()
        end(Self.notNow("the delivery took too long and was stopped"))
    }

    // MARK: Content

    private func push() {
        guard content >= 0, reply == nil else { return }
        while let chunk = chunks.first {
            let count = chunk.bytes[offset...].withUnsafeBytes { Glibc.write(content, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                // EPIPE: the process wants no more, and its answer says why.
                if errno != EAGAIN { closeContent() }
                return
            }
            deadline = .now + limits.stall
            offset += count
            if offset == chunk.bytes.count {
                chunks.removeFirst()
                offset = 0
            }
        }
        if let totalOctets { sayCommit(totalOctets) } else { deadline = nil }
    }

    private func sayCommit(_ octets: Int) {
        closeContent()
        let word = DeliveryJob.commitLine(octets: octets)
        // A process that is gone shows at the end of its answer.
        saidCommit = write(job, word, word.count) == word.count
        Self.close(&job)
        deadline = .now + limits.sync
    }

    private func closeContent() {
        chunks.removeAll()
        Self.close(&content)
    }

    // MARK: The answer

    private func readAnswer() {
        var block = [UInt8](repeating: 0, count: DeliveryAnswer.lineLimit)
        let count = block.withUnsafeMutableBytes { read(answer, $0.baseAddress, $0.count) }
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        line += block.prefix(max(0, count))
        if let end = line.firstIndex(of: 10) { return judge(line[..<end]) }
        if count <= 0 || line.count > DeliveryAnswer.lineLimit {
            end(Self.notNow("the delivery ended without an answer"))
        }
    }

    private func judge(_ line: ArraySlice<UInt8>) {
        // Success before the final word is a lie.
        guard let reply = DeliveryAnswer.reply(line), saidCommit || !reply.isPositive else {
            return end(Self.notNow("the delivery ended with an answer that makes no sense"))
        }
        end(reply)
    }

    private func end(_ reply: Reply) {
        if self.reply == nil { self.reply = reply }
        breakOff()
    }

    private func closeAll() {
        Self.close(&content)
        Self.close(&job)
        Self.close(&answer)
    }

    /// Our end, which does not block; the other is added to `theirs`.
    private static func pipe(_ theirs: inout [FileDescriptor], weWrite: Bool) throws -> Int32 {
        let (reader, writer) = try FileDescriptor.pipe()
        theirs.append(weWrite ? reader : writer)
        let ours = (weWrite ? writer : reader).rawValue
        _ = fcntl(ours, F_SETFL, O_NONBLOCK)
        return ours
    }

    private static func close(_ descriptor: inout Int32) {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    private static func notNow(_ what: String) -> Reply {
        Reply(451, EnhancedStatusCode(4, 3, 0), "\(what). Try again later")
    }
}
