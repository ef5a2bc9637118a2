// Owns: which submit.conf counts, and what stands in its place when there is none. Refuses: reading pouch.conf, which
// may hold a passphrase.

import CommandKit
import Glibc
import MailModel
import QueueKit
import Routing

/// What is known about the queue and this machine.
struct SubmitSettings: Hashable {
    var spool: String
    /// Completes bare names.
    var domain: String
    /// For Received and Message-ID.
    var hostname: String
    /// Octets of a message as it is stored.
    var sizeLimit: Int
    /// Each message is sealed for it, from its first octet on disk; nil stores in clear.
    var publicKey: PublicKey?
    var compresses = false
    /// The file these come from, or what is used without one; for sentences.
    var source: String

    /// The order of Routing's search, so that all programs mean the same spool: `-C FILE`, `$POUCH_CONF`, the system's,
    /// the built-in default. `$HOME` and `$XDG_STATE_HOME` have a say in the last alone; with no rights but the
    /// caller's they can only lead the caller to a spool of his own choice.
    static func find(option: String?) throws -> SubmitSettings {
        let variable = getenv("POUCH_CONF").map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        let chosen = option ?? variable
        let path = SubmitConfiguration.path(besides: chosen)
        if SubmitConfiguration.exists(path: path) { return try settings(try load(path), source: path) }
        let configuration = chosen ?? ConfigurationSearch.systemPath
        guard chosen == nil, !SubmitConfiguration.exists(path: configuration) else {
            throw CommandFailure(
                .configuration,
                "cannot submit: there is no \(path). Write it with `mail-queue init -C \(configuration)`.")
        }
        let spool = EnvironmentFacts.current().defaultQueueDirectory
        return try settings(SubmitConfiguration(spool: spool), source: "the built-in default")
    }

    private static func load(_ path: String) throws -> SubmitConfiguration {
        do {
            return try SubmitConfiguration.load(path: path)
        } catch {
            // The line and the caret stay on lines of their own.
            Diagnostic.print(lines: error.description.split(separator: "\n").map(String.init))
            throw QuietExit(.configuration)
        }
    }

    private static func settings(_ file: SubmitConfiguration, source: String) throws(SealError) -> SubmitSettings {
        let hostname = file.hostname ?? machineName()
        var settings = SubmitSettings(
            spool: file.spool, domain: file.domain ?? hostname, hostname: hostname, sizeLimit: file.maxMessageSize,
            source: source)
        if let key = file.publicKey, let id = file.publicKeyID {
            settings.publicKey = try PublicKey(key, id: id, of: source)
        }
        settings.compresses = file.compresses
        return settings
    }

    var protection: Protection {
        Protection(sealer: publicKey.map { SegmentSealer(submitter: $0) }, compressing: compresses)
    }

    /// gethostname(2); `localhost` where that is no domain.
    private static func machineName() -> String {
        var buffer = [UInt8](repeating: 0, count: 256)
        let result = buffer.withUnsafeMutableBytes { bytes in
            bytes.withMemoryRebound(to: CChar.self) { chars in
                chars.baseAddress.map { gethostname($0, chars.count - 1) } ?? -1
            }
        }
        let name = String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
        return result == 0 && Mailbox.isDomain(name) ? name : "localhost"
    }
}
