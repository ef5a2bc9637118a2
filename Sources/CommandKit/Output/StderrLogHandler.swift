// Owns: log lines on stderr, one write(2) each, so that lines of several threads and programs never mix.
// Refuses: files, rotation, syslog: whoever started the program owns where stderr goes.

import Glibc
import Logging
import MailModel
import SystemPackage

/// ```swift
/// let log = Logger.pouch("mail-relay", level: .info)
/// log.info("\(id) expired", metadata: ["ttl": "4d"])
/// ```
public struct StderrLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    private let format: LogFormat
    private let descriptor: FileDescriptor

    /// - Parameter descriptor: stays the caller's.
    public init(level: Logger.Level = .info, format: LogFormat, descriptor: FileDescriptor = .standardError) {
        (self.logLevel, self.format, self.descriptor) = (level, format, descriptor)
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let given = event.metadata { all.merge(given) { _, new in new } }
        let line = format.line(
            level: event.level, message: event.message.description, metadata: all, now: .now())
        // A log that cannot be written is no reason to stop carrying mail, and there is no other place to say so.
        _ = Result { try descriptor.writeAll(line.utf8) }
    }
}

extension Logger {
    /// The logger of a program: stderr, in the format that stderr asks for.
    public static func pouch(_ name: String, level: Logger.Level = .info) -> Logger {
        Logger(label: name) { _ in StderrLogHandler(level: level, format: .ofStandardError()) }
    }
}

extension LogFormat {
    /// Looks at `JOURNAL_STREAM` and at what stderr is.
    public static func ofStandardError() -> LogFormat {
        var status = stat()
        guard let stream = getenv("JOURNAL_STREAM"), fstat(STDERR_FILENO, &status) == 0 else { return .timestamped }
        return LogFormat(
            journalStream: String(cString: stream), device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
}

extension Timestamp {
    /// The wall clock.
    public static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) &* 1000 &+ Int64(time.tv_nsec) / 1_000_000)
    }
}
