// Owns: the event loops that client connections live on. Refuses: servers; SMTPServer has its own.

import NIOCore
import NIOPosix

/// Threads for connections to other servers; one serves thousands of them. Make one at the start of a program.
public final class NetworkThreads: Sendable {
    let group: MultiThreadedEventLoopGroup

    public init(count: Int = 1) { group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, count)) }

    /// Closes every connection that is left and ends the threads.
    public func shutdown() async {
        do { try await group.shutdownGracefully() } catch { return }
    }
}
