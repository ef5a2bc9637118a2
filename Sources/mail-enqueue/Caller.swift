// Owns: who submits: the local-part and the full name that stand for the caller's uid. Refuses: believing variables
// about another user, addresses given by options.

import CommandKit
import Glibc

/// The person or program behind the uid.
struct Caller: Hashable {
    /// The local-part of the caller's own mailbox.
    var localPart: String
    var fullName: String?

    /// `$LOGNAME` picks among several accounts of one uid, and is believed only when it names an account of this uid.
    /// `$NAME` is believed only together with such a `$LOGNAME`: then the environment was made for this user, not
    /// inherited over su(1). Without any account (a container under a foreign uid) the local-part is `uid12345`.
    ///
    /// - Throws: 75 when the machine can't tell who the uid is.
    static func find(
        uid: UInt32, logname: String?, name: String?,
        accountNamed: (String) throws(CommandFailure) -> Account? = Accounts.user(named:),
        accountOf: (UInt32) throws(CommandFailure) -> Account? = Accounts.user(id:)
    ) throws(CommandFailure) -> Caller {
        if let logname, !logname.isEmpty, let account = try accountNamed(logname), account.uid == uid {
            return Caller(localPart: account.name, fullName: nonEmpty(name) ?? fullName(of: account))
        }
        guard let account = try accountOf(uid) else { return Caller(localPart: "uid\(uid)") }
        return Caller(localPart: account.name, fullName: fullName(of: account))
    }

    static func current() throws(CommandFailure) -> Caller {
        try find(uid: getuid(), logname: variable("LOGNAME"), name: variable("NAME"))
    }

    /// passwd(5): up to the first comma; `&` stands for the capitalised login name.
    private static func fullName(of account: Account) -> String? {
        let first = account.gecos.prefix { $0 != "," }
        let login = account.name.prefix(1).uppercased() + account.name.dropFirst()
        return nonEmpty(first.split(separator: "&", omittingEmptySubsequences: false).joined(separator: login))
    }

    private static func nonEmpty(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }

    private static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}
