// Owns: the message as it comes in: read in pieces, line ends made CRLF, the header found, 8-bit octets noticed.
// Refuses: keeping more of it in memory than the opening, changing a header.

import CommandKit
import Glibc
import SMTPProtocol
import SystemPackage

/// A message on a descriptor. First `readOpening`, then `opening` and `header`; what is left comes from `next`.
struct MessageInput {
    /// Octets of header kept. A longer one is refused: with `-t` recipients could be lost, without it the part beyond
    /// would become body.
    static let headerLimit = 1 << 20
    /// Octets of a message that are looked at before its envelope is written. What is shorter, nearly all mail, is
    /// known as a whole by then.
    static let openingLimit = 1 << 20
    /// A pipe holds as much.
    static let chunkSize = 64 << 10

    private let descriptor: Int32
    private var normaliser: LineEndNormaliser
    private var buffer = [UInt8](repeating: 0, count: chunkSize)
    private(set) var header = HeaderScanner(limit: headerLimit)
    /// Whether an octet over 127 has come so far.
    private(set) var isEightBit = false
    /// Whether all has been read.
    private(set) var isWhole = false

    init(descriptor: Int32, endsAtLoneDot: Bool) {
        self.descriptor = descriptor
        normaliser = LineEndNormaliser(endsAtLoneDot: endsAtLoneDot)
    }

    static let closed = CommandFailure(
        .noInput, "standard input is closed: there is no message. Give one on standard input.")

    /// Reads the header and the beginning of the body, which `header.rest` holds then.
    mutating func readOpening() throws(CommandFailure) {
        var length = 0
        while length < Self.openingLimit || header.end == nil, let piece = try next() {
            header.append(piece)
            length += piece.count
        }
        if isWhole { header.finish() }
    }

    /// The next octets, nil at the end.
    mutating func next() throws(CommandFailure) -> [UInt8]? {
        while !isWhole {
            let count = try read()
            var piece: [UInt8] = []
            piece.reserveCapacity(count + count / 16)
            if count == 0 {
                normaliser.finish(into: &piece)
            } else {
                buffer.withUnsafeBufferPointer {
                    normaliser.append(UnsafeBufferPointer(rebasing: $0[..<count]), to: &piece)
                }
            }
            isWhole = normaliser.hasEnded
            isEightBit = isEightBit || piece.contains { $0 > 127 }
            if !piece.isEmpty { return piece }
        }
        return nil
    }

    private mutating func read() throws(CommandFailure) -> Int {
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { return count }
            switch Errno(rawValue: errno) {
            case .interrupted: continue
            // The caller's end of a pipe may be marked not blocking, and with it ours.
            case .wouldBlock: waitForInput()
            case .isDirectory, .badFileDescriptor:
                throw CommandFailure(
                    .noInput, "standard input is no readable file: there is no message. Give one on standard input.")
            case let cause:
                throw CommandFailure(
                    .ioError, "read the message from standard input", cause, cure: "Nothing was stored.")
            }
        }
    }

    private func waitForInput() {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = Glibc.poll(&poll, 1, -1)
    }
}
