// Owns: `mail-queue flush`, `hold`, `release` and `remove`: their arguments. Refuses: carrying them out (OrderRun).

import ArgumentParser
import CommandKit
import QueueKit

struct Flush: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Has messages tried now; all of them when none is named.", usage: OrderArguments.usage("flush"),
        discussion: "Held messages stay held. What is being tried this moment is not tried twice.")

    @OptionGroup var arguments: OrderArguments

    func run() throws { try arguments.carryOut(.flush, isAllByDefault: true) }
}

struct Hold: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Keeps messages from being tried until they are released.",
        usage: OrderArguments.usage("hold", " [--reason text]"))

    /// Octets: a sentence, stored in a journal for each message.
    private static let reasonLimit = 500

    @Option(help: ArgumentHelp("Why; shown with the message.", valueName: "text"))
    var reason: String?

    @OptionGroup var arguments: OrderArguments

    func validate() throws {
        if let reason, reason.isEmpty || reason.utf8.count > Self.reasonLimit {
            throw ValidationError("A reason has 1 to \(Self.reasonLimit) octets.")
        }
    }

    func run() throws { try arguments.carryOut(.hold, reason: reason) }
}

struct Release: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Undoes hold; the messages are due at once.", usage: OrderArguments.usage("release"))

    @OptionGroup var arguments: OrderArguments

    func run() throws { try arguments.carryOut(.release) }
}

struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Takes messages out of the queue, without a DSN.", usage: OrderArguments.usage("remove"),
        discussion: "There is no way back. What is being tried this moment goes when that attempt is over.")

    @OptionGroup var arguments: OrderArguments

    func run() throws { try arguments.carryOut(.remove) }
}

struct OrderArguments: ParsableArguments {
    /// Within 80 columns, which the one that is made from the options is not.
    static func usage(_ verb: String, _ more: String = "") -> String {
        """
        mail-queue \(verb) [-C file] [--json]\(more) [id ... | - | --all]
        mail-queue \(verb) [-C file] [--json]\(more)
                   [--from a] [--to a] [--domain d] [--state s] [--older age]
        """
    }

    @Argument(
        help: ArgumentHelp(
            "Queue IDs or their beginnings; - reads them from standard input, one a line.", valueName: "id"))
    var ids: [String] = []

    @Flag(help: "All messages.")
    var all = false

    @Flag(help: "One JSON object a line.")
    var json = false

    @OptionGroup(title: "Instead of queue IDs") var filter: ListFilter

    @OptionGroup var common: CommonOptions

    func validate() throws {
        if filter.isGiven, all || !ids.isEmpty {
            throw ValidationError("Name queue IDs, or describe messages by options, not both.")
        }
        if all, !ids.isEmpty { throw ValidationError("Name queue IDs or give --all, not both.") }
        if ids.contains("-"), ids.count > 1 { throw ValidationError("Name queue IDs or give -, not both.") }
    }

    func carryOut(_ verb: QueueOrder.Verb, reason: String? = nil, isAllByDefault: Bool = false) throws {
        guard let scope = try scope(isAllByDefault: isAllByDefault) else { return }
        var order = QueueOrder(verb, scope)
        if let reason { order.reason = reason }
        try OrderRun(order: order, json: json, spool: common.openSpool()).run()
    }

    /// Nil when standard input or the options name nothing: then there is nothing to do, and certainly not to all.
    private func scope(isAllByDefault: Bool) throws -> QueueOrder.Scope? {
        if all { return .all }
        if filter.isGiven { return try described() }
        if ids == ["-"] {
            let read = try StandardInputIDs.read()
            return read.isEmpty ? nil : .messages(read)
        }
        if !ids.isEmpty { return .messages(ids) }
        guard isAllByDefault else {
            throw CommandFailure(.usage, "no message is named. Give queue IDs, - for standard input, or --all.")
        }
        return .all
    }

    /// The messages that the options describe, as the queue stands now.
    private func described() throws -> QueueOrder.Scope? {
        let snapshot = try common.openSpool().snapshot(prefix: nil)
        let now = SystemClock().now()
        let found = snapshot.messages.filter { filter.matches($0, now: now) }.map(\.id.description)
        guard found.isEmpty else { return .messages(found) }
        Diagnostic.print("no message in the queue is like that; nothing was changed.")
        return nil
    }
}
