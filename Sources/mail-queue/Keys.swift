// Owns: `mail-queue keys`: one part of the keys, for a credential store. Refuses: the other parts; making keys (init).

import ArgumentParser
import CommandKit
import Glibc
import KeyKit
import QueueKit

struct Keys: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints the keys of one program, for a credential store.",
        discussion: """
            Needed where mail-listen and mail-relay are started by a service manager instead of mail-supervise. What is \
            printed is secret: write it where only that service can read it.
            """)

    enum Part: String, ExpressibleByArgument, CaseIterable { case writer, `private` }

    @Argument(help: "writer: mail-listen's, which can seal and cannot open. private: mail-relay's, which opens all.")
    var part: Part

    @OptionGroup var common: CommonOptions

    func run() throws {
        let configuration = try common.loadConfiguration()
        guard configuration.queueEncryption != nil else {
            throw CommandFailure(
                .configuration,
                "there are no keys: \(configuration.path ?? "the built-in default") has no queue encryption.")
        }
        let ring = try QueueKeys(configuration, reader: PassphraseReader(asksPeople: true, warn: { _ in })).ring()
        guard let ring, part == .private || configuration.queueEncryption?.key != nil,
            let secret = part == .private ? ring.part : ring.writerKey(.listener)?.part
        else {
            throw CommandFailure(.configuration, "there is no such key: queue encryption has previous keys alone.")
        }
        if isatty(STDOUT_FILENO) == 1 { Diagnostic.print(warning) }
        try HandedKeys.print(secret)
    }

    private var warning: String {
        let power =
            switch part {
            case .writer: "seal mail in the listener's name"
            case .private: "read all mail in the queue"
            }
        return "whoever has this line can \(power). Write it to a file with mode 0600, not to a terminal."
    }
}
