// Owns: users and groups of this machine as values. Refuses: caching; an account may change under a running program.

import Glibc
import SystemPackage

public struct Account: Hashable, Sendable {
    public var name: String
    public var uid: UInt32
    /// The primary group.
    public var gid: UInt32
    public var home: String
    public var shell: String
    /// The full name and what may follow it behind commas, as the account's owner wrote it (chfn(1)).
    public var gecos: String

    public init(name: String, uid: UInt32, gid: UInt32, home: String, shell: String, gecos: String = "") {
        (self.name, self.uid, self.gid, self.home, self.shell) = (name, uid, gid, home, shell)
        self.gecos = gecos
    }
}

public struct AccountGroup: Hashable, Sendable {
    public var name: String
    public var gid: UInt32

    public init(name: String, gid: UInt32) { (self.name, self.gid) = (name, gid) }
}

/// Lookups answer nil for an account that does not exist, and throw `temporaryFailure` when the machine cannot tell
/// (a directory server is away, say): the two must never be mixed up, one loses mail.
public enum Accounts {
    /// More than any sane entry needs; a directory server may not fill our memory.
    private static let bufferLimit = 1 << 20
    /// As many as the kernel lets a process have (NGROUPS_MAX).
    private static let groupLimit: Int32 = 65536

    public static func user(named name: String) throws(CommandFailure) -> Account? {
        guard isName(name) else { return nil }
        return try user("the user \(name)") { getpwnam_r(name, $0, $1, $2, $3) }
    }

    public static func user(id uid: UInt32) throws(CommandFailure) -> Account? {
        try user("the user with uid \(uid)") { getpwuid_r(uid, $0, $1, $2, $3) }
    }

    public static func group(named name: String) throws(CommandFailure) -> AccountGroup? {
        guard isName(name) else { return nil }
        return try group("the group \(name)") { getgrnam_r(name, $0, $1, $2, $3) }
    }

    public static func group(id gid: UInt32) throws(CommandFailure) -> AccountGroup? {
        try group("the group with gid \(gid)") { getgrgid_r(gid, $0, $1, $2, $3) }
    }

    /// All groups of an account, its primary one included.
    public static func groups(of account: Account) throws(CommandFailure) -> [UInt32] {
        var count: Int32 = 64
        while count <= groupLimit {
            var groups = [gid_t](repeating: 0, count: Int(count))
            let asked = count
            if getgrouplist(account.name, account.gid, &groups, &count) >= 0 {
                return Array(groups.prefix(Int(max(0, count))))
            }
            count = max(count, asked * 2)
        }
        throw CommandFailure(.temporaryFailure, "cannot list the groups of \(account.name): there are too many.")
    }

    /// The account this process runs as.
    public static func current() throws(CommandFailure) -> Account? { try user(id: geteuid()) }

    /// A C string ends at the first NUL: such a name must not find another account.
    private static func isName(_ name: String) -> Bool { !name.isEmpty && !name.utf8.contains(0) }

    private typealias Buffer = UnsafeMutablePointer<CChar>
    private typealias Found<Entry> = UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>

    private static func user(
        _ what: String, _ call: (UnsafeMutablePointer<passwd>, Buffer, Int, Found<passwd>) -> Int32
    ) throws(CommandFailure) -> Account? {
        try lookUp(what, passwd(), call) { entry in
            Account(
                name: text(entry.pw_name), uid: entry.pw_uid, gid: entry.pw_gid, home: text(entry.pw_dir),
                shell: text(entry.pw_shell), gecos: text(entry.pw_gecos))
        }
    }

    private static func group(
        _ what: String, _ call: (UnsafeMutablePointer<Glibc.group>, Buffer, Int, Found<Glibc.group>) -> Int32
    ) throws(CommandFailure) -> AccountGroup? {
        try lookUp(what, Glibc.group(), call) { AccountGroup(name: text($0.gr_name), gid: $0.gr_gid) }
    }

    /// Calls with a growing buffer until the entry fits; `convert` runs while the buffer lives.
    private static func lookUp<Entry, Value>(
        _ what: String, _ empty: Entry, _ call: (UnsafeMutablePointer<Entry>, Buffer, Int, Found<Entry>) -> Int32,
        convert: (Entry) -> Value
    ) throws(CommandFailure) -> Value? {
        var size = 1024
        while true {
            var entry = empty
            var buffer = [CChar](repeating: 0, count: size)
            var value: Value?
            let result = buffer.withUnsafeMutableBufferPointer { chars in
                guard let room = chars.baseAddress else { return ERANGE }
                return withUnsafeMutablePointer(to: &entry) { pointer in
                    var found: UnsafeMutablePointer<Entry>?
                    let result = call(pointer, room, chars.count, &found)
                    if result == 0, let found { value = convert(found.pointee) }
                    return result
                }
            }
            switch result {
            case 0: return value
            case EINTR: continue
            case ERANGE where size < bufferLimit: size *= 2
            // Some name services say "not there" this way.
            case ENOENT, ESRCH: return nil
            default:
                throw CommandFailure(
                    .temporaryFailure, "look up \(what)", Errno(rawValue: result), cure: "See nsswitch.conf(5).")
            }
        }
    }

    private static func text(_ pointer: UnsafeMutablePointer<CChar>?) -> String {
        pointer.map { String(cString: $0) } ?? ""
    }
}
