// Owns: what a process takes from itself before it touches anything of value. Refuses: sandboxes.

import CLinux
import Glibc
import SystemPackage

public enum Hardening {
    /// No core dump, and no tracing by other processes of the same uid: memory may hold keys. Programs that read
    /// keys call this first.
    public static func makeUndumpable() throws(CommandFailure) {
        guard pouch_make_undumpable() == 0 else {
            throw CommandFailure(.osError, "forbid core dumps of this process", .last)
        }
        // The soft limit alone: it is inherited, and who runs a delivery command may raise it for his own.
        var limit = rlimit()
        let core = __rlimit_resource_t(RLIMIT_CORE.rawValue)
        guard getrlimit(core, &limit) == 0 else { return }
        limit.rlim_cur = 0
        _ = setrlimit(core, &limit)
    }

    /// Files of this process are made with the modes the code names; what it creates says each mode itself.
    /// - Returns: the umask before.
    @discardableResult
    public static func setUmask(_ mask: UInt32) -> UInt32 { UInt32(umask(mode_t(mask))) }

    /// Raises the limit on open files to the hard limit.
    /// - Returns: the limit now; what was allowed before when the kernel refuses, which is no reason to stop.
    @discardableResult
    public static func raiseDescriptorLimit() -> UInt64 {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        var raised = limit
        raised.rlim_cur = limit.rlim_max
        let done = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0
        return UInt64(done ? raised.rlim_cur : limit.rlim_cur)
    }
}
