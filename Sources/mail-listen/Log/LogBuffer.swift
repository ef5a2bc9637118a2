// Owns: log lines on their way to stderr, gathered for a moment so that thousands a second cost few calls. Refuses:
// their words; the form of a line (LogFormat).

import CommandKit
import Glibc
import Logging
import MailModel
import QueueKit
import Synchronization
import SystemPackage

/// Lines wait here for `pause` at most, then a thread of our own writes them all at once: the event loop never waits for
/// whoever reads the log. Warnings and errors go out at once, after all that came before. A process that is killed loses
/// the lines of its last moments, and never mail. When nobody reads, lines beyond `limit` are counted, not kept.
final class LogBuffer: Sendable {
    private struct State {
        var text: [UInt8] = []
        var lost = 0
        /// The start of the last line: all lines of a millisecond and a level begin alike.
        var start = (now: Timestamp(milliseconds: .min), level: Logger.Level.info, text: "")
    }

    static let pauseMicroseconds: UInt32 = 20_000
    static let usualLimit = 4 << 20

    private let state = Monitor(State())
    /// Held while writing, so that lines keep their order.
    private let writing = Mutex(())
    private let descriptor: FileDescriptor
    private let format: LogFormat
    private let limit: Int

    /// - Parameter limit: octets kept at most, but for the line that passes it.
    init(_ descriptor: FileDescriptor, format: LogFormat, limit: Int = usualLimit) throws(QueueError) {
        (self.descriptor, self.format, self.limit) = (descriptor, format, limit)
        _ = try Thread("log") { [self] in
            while true {
                _ = state.wait { $0.text.isEmpty ? nil : true }
                usleep(Self.pauseMicroseconds)
                flush()
            }
        }
    }

    static func standardError() throws(CommandFailure) -> LogBuffer {
        do throws(QueueError) { return try LogBuffer(.standardError, format: .ofStandardError()) } catch {
            throw CommandFailure(.osError, error.description)
        }
    }

    var logger: Logger { Logger(label: "mail-listen") { [self] _ in BufferedLogHandler(buffer: self) } }

    func add(_ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata) {
        let rest = LogFormat.rest(message: message, metadata: metadata)
        keep(level) { $0 += rest.utf8 }
    }

    /// For the lines that every message has: they are put together in the buffer itself. What is not printable ASCII
    /// shows as `?`.
    func add(line: (inout [UInt8]) -> Void) {
        keep(.info) { text in
            let start = text.count
            line(&text)
            for place in start..<text.count where text[place] < 32 || text[place] > 126 { text[place] = 63 }
            text.append(10)
        }
    }

    private func keep(_ level: Logger.Level, _ append: (inout [UInt8]) -> Void) {
        let now = Timestamp.now()
        let isFirst = state.access { state in
            let isFirst = state.text.isEmpty
            guard state.text.count < limit else {
                state.lost += 1
                return isFirst
            }
            if state.start.now != now || state.start.level != level {
                state.start = (now, level, format.start(level: level, now: now))
            }
            state.text += state.start.text.utf8
            append(&state.text)
            return isFirst
        }
        if level >= .warning {
            flush()
        } else if isFirst {
            state.update { _ in }
        }
    }

    /// Writes all that waits. Call it before the process ends.
    func flush() {
        writing.withLock { _ in
            let (text, lost) = state.access { state in
                defer { (state.text, state.lost) = ([], 0) }
                return (state.text, state.lost)
            }
            // A log that cannot be written is no reason to stop taking mail, and there is no other place to say so.
            if !text.isEmpty { _ = Result { try descriptor.writeAll(text) } }
            guard lost > 0 else { return }
            let sentence = "\(lost) log lines were lost here: stderr was not read fast enough"
            let line = format.line(level: .warning, message: sentence, metadata: [:], now: .now())
            _ = Result { try descriptor.writeAll(line.utf8) }
        }
    }
}

private struct BufferedLogHandler: LogHandler {
    let buffer: LogBuffer
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]

    init(buffer: LogBuffer) { self.buffer = buffer }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let given = event.metadata.map { metadata.merging($0) { _, new in new } } ?? metadata
        buffer.add(event.level, event.message.description, given)
    }
}
