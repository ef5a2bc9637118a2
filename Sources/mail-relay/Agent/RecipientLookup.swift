// Owns: what a recipient and the name of an action come to: as whom, into which path. Refuses: taking paths or users
// from the wire; blocking anybody but its own thread: it asks the system and tables.

import CommandKit
import MailModel
import Routing
import SMTPProtocol

/// A delivery that was decided.
struct DeliveryOrder: Hashable, Sendable {
    var job: DeliveryJob
    /// nil keeps the agent's own.
    var identity: ProcessLaunch.Identity?
    /// Who is acted as.
    var uid: UInt32
}

/// The accounts of the machine, replaceable in tests.
struct AccountSource: Sendable {
    var user: @Sendable (String) throws(CommandFailure) -> Account?
    var groups: @Sendable (Account) throws(CommandFailure) -> [UInt32]

    static let system = AccountSource(
        user: { (name) throws(CommandFailure) in try Accounts.user(named: name) },
        groups: { (account) throws(CommandFailure) in try Accounts.groups(of: account) })
}

struct RecipientLookup: Sendable {
    let configuration: Configuration
    let tables: TableSet
    /// The agent's effective uid; root may become others.
    let ownUID: UInt32
    var accounts = AccountSource.system

    /// Whom to deliver as, and where. Blocks as long as the system's name services do.
    func order(
        for request: RecipientRequest, from reversePath: ReversePath
    ) throws(DeliveryFailure) -> DeliveryOrder {
        let recipient = request.recipient.forwardPath
        let (action, template) = try method(request.action)
        let person = try person(recipient, action)
        let identity = try identity(person)
        let path = try template.path(
            .init(
                username: person.account.name, home: person.account.home, reversePath: reversePath,
                recipient: recipient))
        let job = DeliveryJob(
            maildir: path, home: person.account.home, reversePath: reversePath, recipient: recipient)
        return DeliveryOrder(job: job, identity: identity, uid: person.account.uid)
    }

    // MARK: The action

    private func method(_ name: String?) throws(DeliveryFailure) -> (Action, PathTemplate) {
        guard let name else {
            throw DeliveryFailure(550, .init(5, 5, 4), "RCPT names no action here (XACTION); only mail-relay sends to")
        }
        guard let action = configuration.actions[name] else {
            throw DeliveryFailure(
                451, .init(4, 3, 5),
                "the agent's configuration has no action \"\(name)\"; it may be older than the runner's")
        }
        guard case .maildir(let path) = action.method else {
            throw DeliveryFailure(550, .init(5, 3, 5), "the action \"\(name)\" is no delivery into a Maildir")
        }
        return (action, PathTemplate(text: path ?? PathTemplate.usual))
    }

    // MARK: The account

    private struct Person {
        var account: Account
        /// From a table: it has no groups but its own.
        var isVirtual = false
    }

    private func person(_ recipient: Mailbox, _ action: Action) throws(DeliveryFailure) -> Person {
        if let user = action.user {
            guard let account = try account(user) else {
                throw DeliveryFailure(451, .init(4, 3, 5), "the action's user \(user) does not exist on this machine")
            }
            return Person(account: account)
        }
        for name in names(recipient.localPart) {
            if let table = action.userTable {
                if let account = try virtual(name, table) { return Person(account: account, isVirtual: true) }
            } else if let account = try account(name) {
                return Person(account: account)
            }
        }
        throw DeliveryFailure(550, .init(5, 1, 1), "there is no user \(recipient.quotedLocalPart) here")
    }

    /// As written, in lower case, as most accounts are; both without the sub-address when there is none of that name.
    private func names(_ local: String) -> [String] {
        var names = [local, local.lowercased()]
        if let end = local.firstIndex(of: configuration.subaddressDelimiter), end != local.startIndex {
            let user = String(local[..<end])
            names += [user, user.lowercased()]
        }
        return names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    private func account(_ name: String) throws(DeliveryFailure) -> Account? {
        do throws(CommandFailure) { return try accounts.user(name) } catch { throw notNow(error.sentence) }
    }

    private func virtual(_ name: String, _ table: String) throws(DeliveryFailure) -> Account? {
        switch tables.userInfo(table, name) {
        case .found(let user): Account(name: name, uid: user.uid, gid: user.gid, home: user.home, shell: "")
        case .notFound: nil
        case .temporaryFailure(let why): throw notNow(why)
        }
    }

    // MARK: The right to be it

    private func identity(_ person: Person) throws(DeliveryFailure) -> ProcessLaunch.Identity? {
        let account = person.account
        guard ownUID == 0 else {
            guard account.uid == ownUID else {
                throw DeliveryFailure(
                    451, .init(4, 3, 0),
                    "only root can deliver to other users, and the agent runs as uid \(ownUID), not as root")
            }
            return nil
        }
        guard account.uid != 0 else {
            throw DeliveryFailure(550, .init(5, 7, 1), "mail for root needs an alias: nothing is delivered as root")
        }
        var groups = [account.gid]
        if !person.isVirtual {
            do throws(CommandFailure) { groups = try accounts.groups(account) } catch { throw notNow(error.sentence) }
        }
        return ProcessLaunch.Identity(uid: account.uid, gid: account.gid, groups: groups)
    }

    private func notNow(_ why: String) -> DeliveryFailure {
        DeliveryFailure(451, .init(4, 3, 0), "\(why) Try again later")
    }
}
