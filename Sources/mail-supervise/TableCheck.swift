// Owns: `-n` for tables: that each program could open them as the user it runs as, and that users named by actions exist.
// Refuses: starting tables' programs, reading what aliases include.

import CommandKit
import Routing

struct TableCheck {
    let configuration: Configuration
    let users: ServiceUsers

    /// - Throws: status 78, after the place and the reason were shown.
    func run() throws(QuietExit) {
        try checkActionUsers()
        // The runner reads what the operators' group may read; the agent has the rights of whoever starts it.
        let programs = [
            ("mail-listen", users.listener, users.listener?.gid), ("mail-relay", users.relay, users.group?.gid),
            ("the agent", nil, nil),
        ]
        for (program, account, group) in programs {
            do throws(ConfigurationError) {
                try Self.open(configuration, as: account, group: group)
            } catch {
                let name = account.map { ", which runs as \($0.name)," } ?? ""
                Diagnostic.print(
                    lines: ["\(program)\(name) could not start: \(error.lines[0])"] + error.lines.dropFirst())
                throw QuietExit(.configuration)
            }
        }
    }

    /// Files are opened with the user's rights.
    private static func open(_ configuration: Configuration, as account: Account?, group: UInt32?)
        throws(ConfigurationError)
    {
        guard let account else {
            _ = try TableSet(opening: configuration) { Diagnostic.print($0) }
            return
        }
        FileRights.take(uid: account.uid, gid: group ?? account.gid)
        defer { FileRights.giveUp() }
        _ = try TableSet(opening: configuration) { Diagnostic.print($0) }
    }

    private func checkActionUsers() throws(QuietExit) {
        for action in configuration.actions.values.sorted(by: { $0.name < $1.name }) {
            guard let user = action.user, case .notFound = SystemUsers.lookUp(user) else { continue }
            Diagnostic.print(
                "action \"\(action.name)\" delivers as user \(user), and there is no such account. Make it, or name another."
            )
            throw QuietExit(.configuration)
        }
    }
}
