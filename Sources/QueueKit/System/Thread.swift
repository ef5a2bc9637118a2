// Owns: threads for calls that block, and a box that they wait at. Refuses: Swift concurrency: a blocked thread of its
// pool would stand in the way of everything else.

import CLinux
import Glibc

/// A value under a mutex, with a condition to wait for changes of it.
package final class Monitor<Value>: @unchecked Sendable {
    // Sendable by proof: `value` is touched only between lock and unlock of `mutex`; both pointers are made in init,
    // freed in deinit, and never change.
    private var value: Value
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init(_ value: Value) {
        self.value = value
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Waiting must not depend on the wall clock, which may step.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Changes the value and wakes all who wait.
    package func update<Result>(_ body: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        return body(&value)
    }

    /// Looks at the value or changes it in a way nobody waits for.
    package func access<Result>(_ body: (inout Value) -> Result) -> Result {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body(&value)
    }

    /// Waits until `body` gives a result. With a limit, gives nil after that many milliseconds.
    package func wait<Result>(limit: Int64? = nil, until body: (inout Value) -> Result?) -> Result? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let deadline = limit.map(Self.deadline)
        while true {
            if let result = body(&value) { return result }
            if var deadline {
                if pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { return body(&value) }
            } else {
                pthread_cond_wait(condition, mutex)
            }
        }
    }

    private static func deadline(after milliseconds: Int64) -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let nanoseconds = Int64(time.tv_nsec) + milliseconds % 1000 * 1_000_000
        time.tv_sec += Int(milliseconds / 1000 + nanoseconds / 1_000_000_000)
        time.tv_nsec = Int(nanoseconds % 1_000_000_000)
        return time
    }
}

/// A thread that runs one function to its end.
package final class Thread: Sendable {
    private let finished = Monitor(false)

    /// - Throws: QueueError when the system has no thread to give.
    package init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(QueueError) {
        let finished = finished
        let work = Unmanaged.passRetained(
            Work {
                pouch_name_thread(name)
                body()
                finished.update { $0 = true }
            })
        var id = pthread_t()
        let status = pthread_create(
            &id, nil,
            { argument in
                if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, work.toOpaque())
        guard status == 0 else {
            work.release()
            throw QueueError(.system, "start a thread", cause: .init(rawValue: status))
        }
        pthread_detach(id)
    }

    package func join() { _ = finished.wait { $0 ? true : nil } }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
