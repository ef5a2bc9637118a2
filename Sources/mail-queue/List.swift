// Owns: `mail-queue list`. Refuses: how a message looks (ListTable, MessageJSON), which ones count (ListFilter).

import ArgumentParser
import CommandKit
import MailModel
import QueueKit

struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lists the messages in the queue, oldest first.",
        usage: "mail-queue list [<filters>] [--json] [-C <file>]",
        discussion: """
            Shows each message with the recipients that are left and, when it was deferred, what the other side said \
            last. A file that cannot be read is told on standard error, and the rest is listed.
            """)

    @OptionGroup var filter: ListFilter

    @Flag(help: "One JSON object a line.")
    var json = false

    @OptionGroup var common: CommonOptions

    func run() throws {
        let snapshot = try common.openSpool().snapshot()
        let now = SystemClock().now()
        let messages = snapshot.messages.filter { filter.matches($0, now: now) }
        var output = OutputLines()
        if json {
            for message in messages { try output.add(MessageJSON.summary(message).rendered) }
            if !snapshot.hidden.isEmpty { try output.add(snapshot.hidden.json.rendered) }
        } else {
            try table(messages, snapshot, now, &output)
        }
        try output.flush()
        try snapshot.endWithProblems()
    }

    private func table(
        _ messages: [MessageSummary], _ snapshot: QueueSnapshot, _ now: Timestamp, _ output: inout OutputLines
    ) throws {
        let hidden = snapshot.hidden
        guard !snapshot.messages.isEmpty || !hidden.isEmpty else { return try output.add("Mail queue is empty") }
        if !messages.isEmpty { try output.add(ListTable.header) }
        for message in messages {
            for line in ListTable.lines(message, now: now) { try output.add(line) }
        }
        if !hidden.isEmpty { for line in hidden.lines(now: now) { try output.add(line) } }
        // The words of Postfix: monitoring reads this line.
        let octets = messages.reduce(hidden.octets) { $0.addingReportingOverflow($1.size).partialValue }
        let count = messages.count + hidden.messages
        try output.add("-- \(octets / 1024) Kbytes in \(count) Request\(count == 1 ? "" : "s").")
    }
}

extension QueueSnapshot {
    /// Tells what could not be read and ends the program with the first one's status, after the result.
    func endWithProblems() throws {
        for problem in problems { Diagnostic.print(problem.description) }
        if let first = problems.first { throw QuietExit(CommandFailure(first).status) }
    }
}
