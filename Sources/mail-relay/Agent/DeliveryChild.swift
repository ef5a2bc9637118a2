// Owns: `mail-relay --deliver`: one message into one mailbox, run by the agent as the user whom the mailbox belongs to.
// Refuses: becoming anyone; reading any configuration; deciding where mail goes: the job says it.

import CommandKit
import Glibc
import MailModel
import SMTPProtocol
import SystemPackage

enum DeliveryChild {
    /// Does the job on descriptor `job` with the content on `content`, writes the answer to `answer`, ends the process
    /// with status 0. DeliveryJob shows what is said. When the agent goes away before its final word, or dies, nothing
    /// stays in the mailbox.
    static func main(job: Int32 = 3, content: Int32 = 0, answer: Int32 = 1) -> Never {
        Signals.ignoreBrokenPipes()
        Hardening.setUmask(0o077)
        guard fcntl(job, F_GETFD) >= 0 else {
            Diagnostic.print("--deliver is not for people: mail-relay --agent starts it with a job.")
            exit(ExitStatus.usage.rawValue)
        }
        if let reply = deliver(job: job, content: content) {
            // The agent takes an answer that does not come for a temporary failure.
            _ = Result { try FileDescriptor(rawValue: answer).writeAll(DeliveryAnswer.line(reply)) }
        }
        exit(ExitStatus.success.rawValue)
    }

    /// - Returns: nil when the agent broke off, and nobody waits for an answer.
    static func deliver(job: Int32, content: Int32) -> Reply? {
        do throws(DeliveryFailure) {
            var orders = LineReader(descriptor: job, limit: DeliveryJob.lineLimit)
            guard let line = try orders.next() else { return nil }
            guard let job = DeliveryJob(line: line) else { throw malformed("the job cannot be read") }
            let message = try MaildirMessage(in: Maildir(path: job.maildir, home: job.home), job: job)
            let octets = try copy(content, to: message, LoopCheck(job.recipient))
            guard let word = try orders.next() else { return nil }
            guard word + [10] == DeliveryJob.commitLine(octets: octets)[...] else {
                throw malformed("the content came incomplete")
            }
            try message.commit()
            return Reply(250, EnhancedStatusCode(2, 0, 0), "delivered")
        } catch {
            return error.reply
        }
    }

    private static func copy(
        _ content: Int32, to message: MaildirMessage, _ check: LoopCheck
    ) throws(DeliveryFailure) -> Int {
        var check = check
        var octets = 0
        var block = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = block.withUnsafeMutableBytes { read(content, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw DeliveryFailure("read the content", .lastCall) }
            guard count > 0 else { break }
            octets += count
            try check.look(at: block[..<count])
            try message.append(block[..<count])
        }
        try check.finish()
        return octets
    }

    private static func malformed(_ what: String) -> DeliveryFailure {
        DeliveryFailure(451, EnhancedStatusCode(4, 3, 0), "\(what). Try again later")
    }
}

/// Lines of a descriptor, each within a limit.
struct LineReader {
    private let descriptor: Int32
    private let limit: Int
    private var unread: [UInt8] = []

    init(descriptor: Int32, limit: Int) { (self.descriptor, self.limit) = (descriptor, limit) }

    /// The next line without its line end; nil at the end of the input, also when it comes within a line.
    mutating func next() throws(DeliveryFailure) -> [UInt8]? {
        var searched = 0
        while true {
            if let end = unread[searched...].firstIndex(of: 10) {
                defer { unread.removeFirst(end + 1) }
                return Array(unread[..<end])
            }
            searched = unread.count
            guard searched <= limit else {
                throw DeliveryFailure(451, EnhancedStatusCode(4, 3, 0), "the job is too long. Try again later")
            }
            guard try readMore() else { return nil }
        }
    }

    private mutating func readMore() throws(DeliveryFailure) -> Bool {
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = block.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw DeliveryFailure("read the job", .lastCall) }
            unread += block[..<count]
            return count > 0
        }
    }
}
