// Owns: results on stdout: whole writes, and what happens when the reader is gone. Refuses: diagnosis (Diagnostic).

import SystemPackage

/// Results go through here instead of `print`, which would not notice a full disk.
public enum StandardOutput {
    /// Writes all of it. A reader that went away (`| head`) ends the program quietly with status 0: it has what it
    /// wanted. Any other failure is status 74.
    public static func write(_ text: String) throws {
        try write(bytes: Array(text.utf8), to: .standardOutput)
    }

    public static func write(bytes: [UInt8]) throws { try write(bytes: bytes, to: .standardOutput) }

    static func write(bytes: [UInt8], to descriptor: FileDescriptor) throws {
        do {
            try descriptor.writeAll(bytes)
        } catch Errno.brokenPipe {
            throw QuietExit(.success)
        } catch let cause as Errno {
            throw CommandFailure(
                .ioError, "write the result to standard output", cause, cure: "What was printed is incomplete.")
        }
    }
}

/// Lines for stdout, gathered so that a long list costs few writes.
///
/// ```swift
/// var output = OutputLines()
/// for message in messages { try output.add(message.line) }
/// try output.flush()
/// ```
public struct OutputLines {
    private var bytes: [UInt8] = []
    /// As much as a pipe takes at once.
    private static let limit = 64 << 10

    public init() {}

    public mutating func add(_ line: String) throws {
        bytes += line.utf8
        bytes.append(UInt8(ascii: "\n"))
        if bytes.count >= Self.limit { try flush() }
    }

    public mutating func flush() throws {
        try StandardOutput.write(bytes: bytes)
        bytes.removeAll(keepingCapacity: true)
    }
}
