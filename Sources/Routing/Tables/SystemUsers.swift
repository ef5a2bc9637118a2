// Owns: asking the system for its accounts. Refuses: deciding who is a recipient (Expansion).

import Glibc

/// What delivery needs to know about a user: `uid:gid:home` of userinfo tables.
public struct UserInfo: Hashable, Sendable {
    public var uid: UInt32
    public var gid: UInt32
    public var home: String

    public init(uid: UInt32, gid: UInt32, home: String) { (self.uid, self.gid, self.home) = (uid, gid, home) }
}

public enum SystemUsers {
    /// getpwnam_r(3). A directory service that does not answer is a temporary failure, never an unknown user.
    public static func lookUp(_ name: String) -> LookupResult<UserInfo> {
        query { getpwnam_r(name, $0, $1, $2, $3) }
    }

    static func account(uid: UInt32) -> UserInfo? {
        if case .found(let user) = query({ getpwuid_r(uid, $0, $1, $2, $3) }) { user } else { nil }
    }

    private typealias Call = (
        UnsafeMutablePointer<passwd>, UnsafeMutablePointer<CChar>, Int,
        UnsafeMutablePointer<UnsafeMutablePointer<passwd>?>
    ) -> Int32

    private static func query(_ call: Call) -> LookupResult<UserInfo> {
        // An entry rarely has 1 KiB; 1 MiB bounds a directory service gone wild.
        var size = 4096
        while size <= 1 << 20 {
            let answer = withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) { buffer in
                read(call, buffer)
            }
            if let answer { return answer }
            size *= 4
        }
        return .temporaryFailure("the system's entry for the user is longer than 1 MiB")
    }

    /// nil when the buffer is too small.
    private static func read(_ call: Call, _ buffer: UnsafeMutableBufferPointer<CChar>) -> LookupResult<UserInfo>? {
        guard let base = buffer.baseAddress else { return nil }
        var entry = passwd()
        var result: UnsafeMutablePointer<passwd>?
        var status = call(&entry, base, buffer.count, &result)
        // A bound: a signal storm must not keep us here.
        for _ in 0..<10 where status == EINTR { status = call(&entry, base, buffer.count, &result) }
        if status == ERANGE { return nil }
        guard result != nil else {
            // POSIX: not found is 0 without a result; some services say ENOENT or ESRCH.
            guard status != 0, status != ENOENT, status != ESRCH else { return .notFound }
            return .temporaryFailure("the system's users cannot be asked: \(String(cString: strerror(status)))")
        }
        let home = entry.pw_dir.map { String(cString: $0) } ?? "/"
        return .found(UserInfo(uid: entry.pw_uid, gid: entry.pw_gid, home: home))
    }
}
