// Owns: the arguments of mail-expand and which of its jobs they mean. Refuses: the jobs; each is a file.

import ArgumentParser
import CommandKit
import MailModel
import Routing

struct Expand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mail-expand",
        abstract: "Shows what an address expands to, and why.",
        usage: """
            mail-expand [-C file] [--json] [--why] [SESSION...] ADDRESS... | -
            mail-expand [-C file] [--json] [SESSION...] route ADDRESS
            mail-expand [-C file] [--json] lookup TABLE SERVICE KEY
            mail-expand [-C file] [--json] build [SOURCE DATABASE]
            """,
        discussion: """
            Prints the tree of each address with the rules, tables and lines that made it; nothing is sent. With - the \
            addresses come from standard input, one a line. Status 0 when mail can go to every target, 67 for unknown \
            users, 69 for other refusals, 75 when something could not be asked now.

            SESSION tells of the client that rules look at: --client, --sender, --helo, --name, --tag, --user, --tls.
            """,
        version: Version.text)

    @Option(name: .customShort("C"), help: ArgumentHelp("Read this configuration.", valueName: "file"))
    var file: String?

    @Flag(help: "Print one JSON object a line.")
    var json = false

    @Flag(help: "Tell of each rule that was asked why it holds or not.")
    var why = false

    @Option(
        help: ArgumentHelp("Judge as for a client with this address, not as for mail from here.", valueName: "address"))
    var client: String?

    @Option(
        help: ArgumentHelp("Judge as for mail from this sender, not from the null reverse-path.", valueName: "address"))
    var sender: String?

    @Option(help: ArgumentHelp("What the client says in EHLO.", valueName: "name"))
    var helo: String?

    @Option(help: ArgumentHelp("What DNS calls the client; empty: it has no name.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("The tag of the listener.", valueName: "tag"))
    var tag: String?

    @Option(help: ArgumentHelp("Judge as for a client who authenticated as this user.", valueName: "user"))
    var user: String?

    @Flag(help: "Judge as for a client under TLS.")
    var tls = false

    @Argument(
        help: ArgumentHelp("Addresses, -, or lookup, route or build with what belongs to it.", valueName: "ADDRESS"))
    var arguments: [String]

    func run() throws {
        switch arguments.first {
        case "lookup": try TableLookup(try setting(), Array(arguments.dropFirst()), json: json).run()
        case "route":
            guard arguments.count == 2 else { throw ValidationError("route takes one address") }
            try RouteReport(try setting(), facts: try facts(arguments[1]), json: json).run()
        case "build":
            try TableBuild(file: file, Array(arguments.dropFirst()), json: json).run()
        case "-":
            guard arguments.count == 1 else { throw ValidationError("- stands alone: the addresses come line by line") }
            try expandInput()
        default:
            let facts = try arguments.map(facts)
            var report = TreeReport(try setting(), json: json, why: why)
            for facts in facts { try report.add(facts) }
            try report.finish()
        }
    }

    private func expandInput() throws {
        let users = UserCache()
        var report = TreeReport(try setting(users: users.lookUp), json: json, why: why)
        var lines = AddressLines()
        while let line = try lines.next(idle: { try report.flush() }) {
            do {
                guard let text = line.text else { throw CommandFailure(.dataError, "it is no text, or too long.") }
                try report.add(try facts(text))
            } catch let failure as CommandFailure where failure.status == .dataError {
                report.refuse("line \(line.number) of standard input: \(failure.sentence)")
            }
        }
        try report.finish()
    }

    /// A configuration with its tables open.
    private func setting(
        users: @escaping @Sendable (String) -> LookupResult<UserInfo> = SystemUsers.lookUp
    ) throws -> Router {
        do throws(ConfigurationError) {
            let (configuration, _) = try Configuration.locate(option: file)
            let tables = try TableSet(opening: configuration, users: users, unreadable: .isTemporary) {
                Diagnostic.print($0)
            }
            return Router(configuration: configuration, tables: tables, localNames: EnvironmentFacts.localNames())
        } catch {
            Diagnostic.print(lines: error.lines)
            throw QuietExit(.configuration)
        }
    }

    private func facts(_ address: String) throws -> MatchFacts {
        let domain = EnvironmentFacts.localNames().first ?? "localhost"
        let complete = address.contains("@") ? address : "\(address)@\(domain)"
        guard let recipient = Mailbox(complete) else {
            throw CommandFailure(.dataError, "\"\(address)\" is no address. Write user or user@example.org.")
        }
        var facts = MatchFacts(
            client: try matchClient(), isAuthenticated: user != nil, tag: tag, reversePath: try reversePath(),
            recipient: recipient)
        (facts.user, facts.helo, facts.isTLS) = (user, helo, tls)
        if let name { facts.clientName = name.isEmpty ? .none : .name(name) }
        return facts
    }

    private func matchClient() throws -> MatchFacts.Client {
        guard let client else { return .local }
        guard let address = IPAddress(client) else {
            throw CommandFailure(.usage, "\"\(client)\" is no IP address. Write one such as 192.0.2.1 behind --client.")
        }
        return .address(address)
    }

    private func reversePath() throws -> ReversePath {
        guard let sender, !sender.isEmpty, sender != "<>" else { return .null }
        guard let mailbox = Mailbox(sender) else {
            throw CommandFailure(.usage, "\"\(sender)\" is no address. Write one such as news@example.org.")
        }
        return .mailbox(mailbox)
    }
}
