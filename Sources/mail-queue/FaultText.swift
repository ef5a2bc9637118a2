// Owns: what is wrong with a place of the spool, and the command that mends it, with names instead of numbers.
// Refuses: mending (SpoolLayout).

import CommandKit
import QueueKit

struct FaultText {
    /// Without a full stop.
    let sentence: String
    /// With one.
    let cure: String

    init(_ fault: SpoolFault) throws(CommandFailure) {
        let path = fault.path
        switch fault.kind {
        case .missing:
            sentence = "\(path) is missing"
            cure = "Run mail-queue init."
        case .notA(let expected):
            sentence = "\(path) is not a \(expected)"
            cure = "Move it away and run mail-queue init again."
        case .owner(let found, let expected):
            let owner = try Self.name(expected)
            sentence = "\(path) belongs to \(try Self.name(found)), not to \(owner)"
            cure = "Mend it with \"chown -h \(owner) \(ShellWord.quoted(path))\" and init again, or with init --fix."
        case .mode(let found, let expected):
            sentence = "\(path) has mode \(Self.octal(found)), not \(Self.octal(expected))"
            cure = "Mend it with \"chmod \(Self.octal(expected)) \(ShellWord.quoted(path))\", or with init --fix."
        }
    }

    private static func name(_ owner: SpoolFault.Ownership) throws(CommandFailure) -> String {
        let user = try Accounts.user(id: owner.uid)?.name ?? "\(owner.uid)"
        let group = try Accounts.group(id: owner.gid)?.name ?? "\(owner.gid)"
        return "\(user):\(group)"
    }

    private static func octal(_ mode: UInt32) -> String {
        let digits = String(mode, radix: 8)
        return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
}
