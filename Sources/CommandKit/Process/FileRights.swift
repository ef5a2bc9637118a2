// Owns: opening files with another user's rights, to find out whether that user could. Refuses: becoming that user
// (ProcessLaunch), for which this is no substitute: the thread may take its own rights again at any time.

import CLinux
import Glibc

/// Of the calling thread; only root can take others' rights. Supplementary groups are not changed: root's are its own.
public enum FileRights {
    public static func take(uid: UInt32, gid: UInt32) { pouch_set_file_identity(uid, gid) }

    /// Back to those of the process.
    public static func giveUp() { pouch_set_file_identity(geteuid(), getegid()) }
}
