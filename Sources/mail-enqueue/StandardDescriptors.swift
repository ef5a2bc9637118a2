// Owns: that descriptors 0, 1 and 2 are open before the first file is. Refuses: everything later.

import Glibc

/// A caller may start us with any of them closed. The next file opened would get that number, and a sentence meant for
/// a person would be written into a drop. So each missing one becomes /dev/null first.
enum StandardDescriptors {
    /// - Returns: whether standard input was closed: then there is no message, not an empty one.
    static func fill() -> Bool {
        let stdinIsClosed = isClosed(STDIN_FILENO)
        for descriptor in STDIN_FILENO...STDERR_FILENO where isClosed(descriptor) {
            // The lowest free number is this one, as all below are open. Nothing can be told to anyone if it fails.
            guard open("/dev/null", O_RDWR) == descriptor else { _exit(EX_OSERR) }
        }
        return stdinIsClosed
    }

    private static func isClosed(_ descriptor: Int32) -> Bool { fcntl(descriptor, F_GETFD) < 0 && errno == EBADF }
}
