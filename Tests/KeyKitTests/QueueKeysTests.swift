import Glibc
import Testing

@testable import CommandKit
@testable import KeyKit
@testable import QueueKit
@testable import Routing

@Suite struct QueueKeysTests {
    private let spool = TestSpool()
    private let key = "queue encryption key \"foobarbaz\""

    private func storedFile() throws -> SpoolKeyFile {
        try #require(try SpoolKeyFile.read(SpoolKeyStore(spool.layout)))
    }

    @Test func theFirstTimeMakesAKeyAndLaterTimesKeepIt() throws {
        let first = try spool.prepare(key)
        #expect(first.warnings.count == 1 && first.warnings[0].contains("Losing it loses all mail in the queue."))
        #expect(first.warnings[0].contains("cp -p \(spool.layout.root)/spool.key ~/pouch-spool.key"))
        var status = stat()
        #expect(lstat("\(spool.layout.root)/spool.key", &status) == 0 && status.st_mode & 0o7777 == 0o400)
        let before = try storedFile()
        let second = try spool.prepare(key)
        #expect(second.warnings == [] && second.publicKey == first.publicKey)
        #expect(try storedFile() == before)
    }

    @Test func lookingOnlyMakesNothing() throws {
        #expect(try spool.prepare(key, checkOnly: true).done == ["would make \(spool.layout.root)/spool.key"])
        #expect(access(spool.layout.root, F_OK) != 0)
        try spool.prepare(key)
        #expect(try spool.prepare(key, checkOnly: true).publicKey == storedPublicKey())
        let before = try storedFile()
        let again = try spool.prepare(
            "queue encryption key b", "queue encryption previous key foobarbaz", checkOnly: true)
        #expect(again.done == ["would wrap \(spool.layout.root)/spool.key again"])
        #expect(try storedFile() == before)
    }

    private func storedPublicKey() throws -> PublicKey? { try spool.keys(key).ring()?.publicKey }

    @Test func aWrongPassphraseIsRefusedAndChangesNothing() throws {
        try spool.prepare(key)
        let before = try storedFile()
        let text = refusal { try spool.prepare("queue encryption key other") }
        #expect(text.contains("cannot open the key \(before.current.id)") && text.contains("previous key"), "\(text)")
        #expect(refusal { try spool.keys("queue encryption key other").ring() } == text)
        #expect(refusal { try spool.prepare("queue encryption previous key other") }.contains("no previous key"))
        #expect(try storedFile() == before)
    }

    @Test func aChangedPassphraseWrapsTheSameKeyAgain() throws {
        let first = try spool.prepare(key)
        let changed = try spool.prepare("queue encryption key new", "queue encryption previous key foobarbaz")
        #expect(changed.publicKey == first.publicKey && changed.warnings.count == 1)
        #expect(try spool.keys("queue encryption key new").ring()?.publicKey == first.publicKey)
        #expect(refusal { try spool.keys(key).ring() }.contains("cannot open"))
        let more = try spool.prepare("queue encryption key new", "queue encryption iterations 110000")
        #expect(more.publicKey == first.publicKey && more.warnings.count == 1)
        #expect(try storedFile().current.iterations == 110_000)
        #expect(access("\(spool.layout.root)/spool.key.new", F_OK) != 0)
    }

    @Test func earlierGenerationsStay() throws {
        try spool.prepare(key)
        let store = SpoolKeyStore(spool.layout)
        var file = try storedFile()
        let old = file.current.id
        try file.use(try SpoolKey(.random(), passphrase: Secret("new")))
        try store.replace(with: file, owners: .caller)
        let alone = try spool.prepare("queue encryption key new")
        #expect(alone.warnings.count == 1 && alone.warnings[0].contains("the earlier key \(old)"))
        #expect(try spool.keys("queue encryption key new").ring()?.ids == [file.current.id])
        let both = try spool.prepare("queue encryption key new", "queue encryption previous key foobarbaz")
        #expect(both.publicKey?.id == file.current.id)
        // Wrapped again, it needs no earlier passphrase.
        #expect(try spool.keys("queue encryption key new").ring()?.ids == [file.current.id, old])
        #expect(try storedFile().keys.map(\.id) == [file.current.id, old])
    }

    @Test func withoutAKeyInUseNothingIsSealedAndAllIsOpened() throws {
        let made = try spool.prepare(key)
        let off = "queue encryption previous key foobarbaz"
        #expect(try spool.prepare(off).publicKey == nil)
        let keys = try spool.keys(off).runnerKeys(part: nil)
        #expect(keys.protection.sealer == nil && keys.ring?.publicKey == made.publicKey)
        #expect(try spool.keys(off).listenerProtection(part: nil).sealer == nil)
        let none = TestSpool()
        try none.layout.create(owners: .caller)
        #expect(try none.keys(off).runnerKeys(part: nil).ring == nil)
        #expect(try none.keys("").runnerKeys(part: nil).ring == nil)
    }

    @Test func eachGetsItsPart() throws {
        let made = try spool.prepare(key)
        let ring = try #require(try spool.keys(key).ring())
        let unreadable = "queue encryption key file \"/nonexistent\""
        let keys = try spool.keys(unreadable)
        let writer = try #require(ring.writerKey(.listener)?.part)
        let sealer = try #require(try keys.listenerProtection(part: writer).sealer)
        #expect(sealer.role == .listener && sealer.publicKey == made.publicKey)
        let runner = try keys.runnerKeys(part: ring.part)
        #expect(runner.protection.sealer?.role == .runner && runner.ring?.ids == ring.ids)
        // Alone under one user, each makes its own.
        #expect(try spool.keys(key).listenerProtection(part: nil).sealer?.publicKey == made.publicKey)
        #expect(try spool.keys(key).runnerKeys(part: nil).protection.sealer?.role == .runner)
        let folder = try #require(spool.folder)
        folder.file("pouch-writer", writer.text)
        folder.file("pouch-private", ring.part.text)
        let given = try spool.keys(unreadable, credentials: folder.path)
        #expect(try given.listenerProtection(part: nil).sealer?.role == .listener)
        #expect(try given.runnerKeys(part: nil).ring?.ids == ring.ids)
        #expect(given.ringIfAllowed { Issue.record("\($0)") }?.ids == ring.ids)
    }

    @Test func partsOfOthersAreRefused() throws {
        try spool.prepare(key)
        let ring = try #require(try spool.keys(key).ring())
        let keys = try spool.keys(key)
        let runnerKey = try #require(ring.writerKey(.runner)?.part)
        #expect(refusal { try keys.listenerProtection(part: runnerKey) }.contains("is not the listener's"))
        #expect(refusal { try keys.listenerProtection(part: ring.part) }.contains("mail-queue keys writer"))
        #expect(refusal { try keys.runnerKeys(part: runnerKey) }.contains("mail-queue keys private"))
        #expect(refusal { try keys.runnerKeys(part: Secret("foobarbaz")) }.contains("mail-queue keys private"))
    }

    @Test func onlyTheConfigurationsFolderIsTrusted() throws {
        let made = try spool.prepare(key)
        let keys = try spool.keys(key)
        let other = try KeyRing(.random())
        let swapped = try #require(other.writerKey(.listener)?.part)
        let text = refusal { try keys.listenerProtection(part: swapped) }
        #expect(text.contains("the key is \(other.publicKey.id)"), "\(text)")
        #expect(text.contains("names \(made.publicKey?.id.description ?? "")") && text.contains("somebody replaced"))
        #expect(refusal { try keys.runnerKeys(part: other.part) } == text)
        spool.submit(nil)
        #expect(refusal { try keys.runnerKeys(part: nil) }.contains("names no public key"))
        spool.folder?.file("submit.conf", "version 1\n")
        #expect(
            refusal { try keys.listenerProtection(part: nil) }.contains("can't be used. Write it with mail-queue init"))
        unlink("\(spool.folder?.path ?? "")/submit.conf")
        #expect(refusal { try keys.listenerProtection(part: nil) }.contains("no such file"))
    }

    @Test func whatIsMissingIsNamed() throws {
        try spool.layout.create(owners: .caller)
        for text in [
            refusal { try spool.keys(key).listenerProtection(part: nil) },
            refusal { try spool.keys(key).runnerKeys(part: nil) },
        ] {
            #expect(text.contains("spool.key") && text.contains("mail-queue"), "\(text)")
        }
        try spool.prepare(key)
        let path = "\(spool.layout.root)/spool.key"
        chmod(path, 0o600)
        for (name, text) in [
            ("cut", "pouch-key 1\n"), ("strange", "\0"), ("long", String(repeating: "x", count: 9000)),
        ] {
            spool.folder?.file("spool/spool.key", text)
            #expect(refusal { try spool.keys(key).ring() }.contains("Restore it from its backup"), "\(name)")
            #expect(refusal { try spool.prepare(key) }.contains("Restore it from its backup"), "\(name)")
        }
        unlink(path)
        mkdir(path, 0o700)
        #expect(throws: CommandFailure.self) { try spool.keys(key).ring() }
        #expect(try SpoolKeyStore(spool.layout).faults(owners: .caller).count == 1)
    }

    @Test func anOperatorIsNeverAsked() throws {
        try spool.prepare(key)
        for line in ["stdin", "", "file \"/nonexistent\""] {
            var told: [String] = []
            let source = line.isEmpty ? "queue encryption" : "queue encryption key \(line)"
            #expect(try spool.keys(source).ringIfAllowed { told.append($0) } == nil)
            #expect(told.count == (line.hasPrefix("file") ? 1 : 0), "\(told)")
        }
        #expect(try spool.keys(key).ringIfAllowed { Issue.record("\($0)") } != nil)
        #expect(try spool.keys("").ringIfAllowed { Issue.record("\($0)") } == nil)
    }

    @Test func modesAreMended() throws {
        try spool.prepare(key)
        let store = SpoolKeyStore(spool.layout)
        #expect(try store.faults(owners: .caller) == [])
        chmod(store.path, 0o644)
        #expect(try store.faults(owners: .caller).map(\.kind) == [.mode(found: 0o644, expected: 0o400)])
        #expect(try store.mend(owners: .caller))
        #expect(try store.faults(owners: .caller) == [])
    }
}
