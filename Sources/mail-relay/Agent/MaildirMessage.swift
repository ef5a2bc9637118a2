// Owns: one message on its way into a Maildir. Refuses: reading it; deciding whether it is complete.
//
// Order: file in tmp/ with all octets, fsync of the file, rename into new/, fsync of new/: the instant of commit. A crash
// before the rename leaves a file in tmp/, which Maildir readers remove after 36 hours and never show.

import CLinux
import CommandKit
import Glibc
import SystemPackage

/// What makes the name of a file unique (https://cr.yp.to/proto/maildir.html).
struct MaildirName {
    var seconds: Int
    var microseconds: Int
    var pid: Int32
    /// Two machines, or two containers, may share a Maildir and all the rest.
    var random: UInt64
    var host: String

    static func next() -> MaildirName {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return MaildirName(
            seconds: time.tv_sec, microseconds: time.tv_nsec / 1000, pid: getpid(),
            random: .random(in: .min ... .max),
            host: Machine.name)
    }

    /// A slash would lead elsewhere and a colon would begin the flags: both are written as their octal numbers.
    var text: String {
        let host = host.unicodeScalars.prefix(100).map { scalar in
            switch scalar {
            case "/": "\\057"
            case ":": "\\072"
            default: String(scalar)
            }
        }.joined()
        return "\(seconds).M\(microseconds)P\(pid)Q1R\(String(random, radix: 16)).\(host)"
    }
}

final class MaildirMessage {
    private let maildir: Maildir
    private let name: String
    private var file: Int32
    private var octets = 0
    private var isInTmp = true
    private var lines = LineFeeds()

    /// Makes the file and writes the fields that a final delivery adds (RFC 5321 §4.4).
    init(in maildir: Maildir, job: DeliveryJob, name: MaildirName = .next()) throws(DeliveryFailure) {
        self.maildir = maildir
        self.name = name.text
        file = pouch_openat(maildir.tmp, self.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw DeliveryFailure("make a file in \(maildir.path)/tmp", .lastCall) }
        try write(Array("Return-Path: <\(job.reversePath)>\nDelivered-To: \(job.recipient)\n".utf8))
    }

    /// - Parameter content: the next octets, lines ending with CRLF.
    func append(_ content: ArraySlice<UInt8>) throws(DeliveryFailure) { try write(lines.convert(content)) }

    /// Returns when the message is in new/ and stays there whatever happens to the machine.
    func commit() throws(DeliveryFailure) {
        try write(lines.finish())
        guard fsync(file) == 0 else { throw DeliveryFailure("sync a file in \(maildir.path)/tmp", .lastCall) }
        let final = "\(name),S=\(octets)"
        guard renameat(maildir.tmp, name, maildir.new, final) == 0 else {
            throw DeliveryFailure("move a file to \(maildir.path)/new", .lastCall)
        }
        isInTmp = false
        guard fsync(maildir.new) == 0 else {
            let cause = Errno.lastCall
            // It will be delivered again: better no copy now than two then.
            unlinkat(maildir.new, final, 0)
            throw DeliveryFailure("sync \(maildir.path)/new", cause)
        }
    }

    /// Without a commit nothing stays.
    deinit {
        if isInTmp, file >= 0 { unlinkat(maildir.tmp, name, 0) }
        if file >= 0 { close(file) }
    }

    private func write(_ bytes: [UInt8]) throws(DeliveryFailure) {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw DeliveryFailure("write to \(maildir.path)/tmp", count < 0 ? .lastCall : .noSpace)
            }
            done += count
        }
        octets += bytes.count
    }
}
