// Owns: one thread that does jobs one after another. Refuses: order between two queues.

/// Jobs that block, done in the order given.
package final class WorkQueue: Sendable {
    private struct State {
        var jobs: [@Sendable () -> Void] = []
        var stopping = false
    }
    private let state = Monitor(State())
    private let thread: Thread

    package init(_ name: String) throws(QueueError) {
        let state = state
        thread = try Thread(name) {
            while let jobs = Self.next(state) {
                for job in jobs { job() }
            }
        }
    }

    package func run(_ job: @escaping @Sendable () -> Void) { state.update { $0.jobs.append(job) } }

    /// Ends the thread once all jobs are done, and waits for that.
    package func stop() {
        state.update { $0.stopping = true }
        thread.join()
    }

    private static func next(_ state: Monitor<State>) -> [@Sendable () -> Void]? {
        let jobs: [@Sendable () -> Void]?? = state.wait { state in
            if !state.jobs.isEmpty {
                defer { state.jobs = [] }
                return .some(state.jobs)
            }
            return state.stopping ? .some(nil) : nil
        }
        return jobs ?? nil
    }
}
