// Owns: the FIFO that wakes the runner. Refuses: meaning: a lost byte costs seconds, never mail.

import Glibc
import SystemPackage

/// The writing end: a byte says «look now». Without a runner nothing is written and nothing is wrong.
public final class TriggerWriter: Sendable {
    private let path: String
    private let syscalls: any Syscalls
    /// While no runner reads, the FIFO is looked for this often at most: thousands of commits a second need no more.
    static let pauseMilliseconds: Int64 = 20

    private struct State {
        var end: OpenFile?
        var nextLook = Int64.min
    }
    private let state = Monitor(State())

    public init(_ layout: SpoolLayout, syscalls: any Syscalls = LibC()) {
        (self.path, self.syscalls) = (layout.trigger, syscalls)
    }

    /// Needs SIGPIPE ignored.
    public func pull() {
        state.access { state in
            // ENXIO: no runner reads. It looks by itself when it starts.
            if state.end == nil { look(&state) }
            guard let end = state.end else { return }
            let byte: [UInt8] = [1]
            let failure = byte.withUnsafeBytes { raw in
                Result { () throws(QueueError) in try end.perform(.write(end.fd, raw), "write", #fileID, #line) }
            }
            // A full pipe wakes the runner just as well. After a broken one the next pull opens it anew.
            if case .failure(let error) = failure, error.cause != .wouldBlock { state.end = nil }
        }
    }

    private func look(_ state: inout State) {
        let now = SystemClock().monotonic()
        guard now >= state.nextLook else { return }
        state.nextLook = now + Self.pauseMilliseconds
        state.end = try? OpenFile(path, flags: O_WRONLY | O_NONBLOCK, syscalls: syscalls)
    }
}

/// The reading end, for the runner. It holds a writing end too, so that it never reads the end of the file.
public final class TriggerReader: Sendable {
    private let file: OpenFile

    public init(_ layout: SpoolLayout, syscalls: any Syscalls = LibC()) throws(QueueError) {
        file = try OpenFile(layout.trigger, flags: O_RDWR | O_NONBLOCK, syscalls: syscalls)
    }

    /// Waits for a byte and takes all there are. False when none came in time.
    public func wait(milliseconds: Int32) -> Bool {
        var poll = pollfd(fd: file.fd, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, milliseconds) > 0 else { return false }
        var buffer = [UInt8](repeating: 0, count: 4096)
        _ = Glibc.read(file.fd, &buffer, buffer.count)
        return true
    }
}
