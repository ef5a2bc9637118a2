// Owns: `spool.meta`, which says that this is a spool, of which format, with which salt. Refuses: keys.

import Glibc
import MailModel

/// The first file anybody reads. Text, so that an operator can read it too:
///
///     pouch-spool 1
///     id 4fd0...                 128 random bits, for logs and backups
///     salt 9a11...               128 random bits, for the key derivation of a sealed queue
///     created 1795341600000      milliseconds since 1970
///     check 0f3c...              SHA-256 over the lines above
public struct SpoolMeta: Hashable, Sendable {
    public static let currentVersion = 1
    static let name = "spool.meta"
    static let sizeLimit = 4096
    /// No secret: whoever submits mail reads it first.
    static let mode: UInt32 = 0o644

    public var version: Int
    public var id: String
    public var salt: String
    public var created: Timestamp

    /// - Throws: QueueError `.missing` when there is no spool, `.newerFormat`, `.corrupt`.
    public static func read(
        _ layout: SpoolLayout, syscalls: any Syscalls = LibC()
    ) throws(QueueError) -> SpoolMeta {
        let file: OpenFile
        do throws(QueueError) {
            file = try OpenFile(layout.meta, flags: O_RDONLY, syscalls: syscalls)
        } catch {
            guard error.cause == .noSuchFileOrDirectory else { throw error }
            throw QueueError(
                .missing, "use the spool \(layout.root)", cause: error.cause,
                explanation: "there is no spool. Create it with `mail-queue init`.")
        }
        return try parse(try file.read(sizeLimit, at: 0), layout)
    }

    static func parse(_ bytes: [UInt8], _ layout: SpoolLayout) throws(QueueError) -> SpoolMeta {
        let corrupt = QueueError(
            .corrupt, "use the spool \(layout.root)",
            explanation: "spool.meta is damaged or is not ours. Restore it from a backup; the mail is untouched.")
        guard let text = bytes.text else { throw corrupt }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.first?.split(separator: " "), first.count == 2, first[0] == "pouch-spool",
            let version = Int(first[1])
        else { throw corrupt }
        guard version <= currentVersion else {
            throw QueueError(
                .newerFormat, "use the spool \(layout.root)",
                explanation: "its format is \(version), this program knows \(currentVersion). Install a newer Pouch.")
        }
        var fields: [Substring: String] = [:]
        for line in lines.dropFirst() {
            let words = line.split(separator: " ", maxSplits: 1)
            if words.count == 2 { fields[words[0]] = String(words[1]) }
        }
        guard let id = fields["id"], let salt = fields["salt"], let created = fields["created"].flatMap(Int64.init),
            let check = fields["check"]
        else { throw corrupt }
        let meta = SpoolMeta(version: version, id: id, salt: salt, created: Timestamp(milliseconds: created))
        guard meta.check == check else { throw corrupt }
        return meta
    }

    private var head: String {
        "pouch-spool \(version)\nid \(id)\nsalt \(salt)\ncreated \(created.milliseconds)\n"
    }
    private var check: String { Checksum.sha256(Array(head.utf8)).hex }
    var rendered: [UInt8] { Array("\(head)check \(check)\n".utf8) }

    /// Writes it under a temporary name, syncs, renames, syncs the directory. False when there is one.
    static func createIfMissing(
        in top: Directory, owners: SpoolOwners, clock: any TimeSource
    ) throws(QueueError) -> Bool {
        guard try top.status(of: name) == nil else { return false }
        let meta = SpoolMeta(
            version: currentVersion, id: [UInt8].random(16).hex, salt: [UInt8].random(16).hex, created: clock.now())
        let unnamed = try top.openUnnamed(mode: mode, token: QueueID.make(clock).description)
        try SpoolLayout.own(unnamed.file, (owners.relayUID, owners.group))
        try unnamed.file.setMode(mode)
        try unnamed.file.write(meta.rendered, at: 0)
        try unnamed.file.sync()
        do throws(QueueError) {
            try top.link(unnamed, as: name)
        } catch {
            top.discard(unnamed)
            // Another `init` was faster: its spool is this one.
            guard error.cause == .fileExists else { throw error }
            return false
        }
        try top.sync()
        return true
    }
}

extension [UInt8] {
    static func random(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    var hex: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
