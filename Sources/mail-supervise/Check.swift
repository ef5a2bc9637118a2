// Owns: `-n`: everything a start checks, without starting or changing anything. Refuses: creating directories.

import CommandKit
import Glibc
import KeyKit
import Logging
import Routing

struct Check {
    let configuration: Configuration
    let log: Logger
    let inherited: [InheritedSocket]

    func run() throws {
        let users = try ServiceUsers.resolve(configuration.superviseUsers)
        try TableCheck(configuration: configuration, users: users).run()
        let programs = try ServicePrograms()
        var supply = KeySupply.none
        if let encryption = configuration.queueEncryption {
            supply = .passphrases(try ServiceKeys.passphrases(encryption, log))
        }
        try Preparation.checkSpool(configuration, supply)
        let places = try listenerPlaces()
        var lines = OutputLines()
        try lines.add("configuration: \(EscapedText.plain(configuration.path ?? "built in"))")
        try lines.add("spool: \(EscapedText.plain(configuration.queueDirectory))")
        for role in ServiceRole.allCases where role != .listener || !places.isEmpty {
            let launch = programs.launch(role, configuration: configuration.path)
            let command = ([launch.program] + launch.arguments).map(EscapedText.value).joined(separator: " ")
            try lines.add("\(role): \(command), as \(user(of: role, users))" + sockets(of: role, places))
        }
        try lines.flush()
    }

    /// Ports that are taken fail the check, unless a mail-supervise of this configuration is what holds them.
    private func listenerPlaces() throws(CommandFailure) -> [String] {
        guard inherited.isEmpty else { return inherited.map { "\($0.name) (inherited)" } }
        let isRunning = try ListeningSocket.answers(atPath: configuration.agentSocket)
        var places: [String] = []
        for (address, _) in try ListenerSockets.addresses(in: configuration) {
            do throws(CommandFailure) {
                try ListeningSocket.tcp(address).close()
                places.append(address.description)
            } catch {
                guard isRunning, error.status == .unavailable else { throw error }
                places.append("\(address) (in use by the one that runs)")
            }
        }
        return places
    }

    private func user(of role: ServiceRole, _ users: ServiceUsers) throws(CommandFailure) -> String {
        var account: Account? =
            switch role {
            case .agent: nil
            case .relay: users.relay
            case .listener: users.listener
            }
        if account == nil { account = try Accounts.user(id: geteuid()) }
        return account?.name ?? "uid \(geteuid())"
    }

    private func sockets(of role: ServiceRole, _ places: [String]) -> String {
        switch role {
        case .agent: ", on \(EscapedText.plain(configuration.agentSocket))"
        case .relay: ""
        case .listener: ", on \(places.joined(separator: " "))"
        }
    }
}
