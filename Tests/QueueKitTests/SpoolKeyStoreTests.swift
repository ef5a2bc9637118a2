import Glibc
import SystemPackage
import Testing

@testable import QueueKit

@Suite struct SpoolKeyStoreTests {
    private static func file() throws -> SpoolKeyFile {
        SpoolKeyFile(try SpoolKey(.random(), passphrase: Secret(capacity: 1) { _ in 1 }))
    }

    private let first: SpoolKeyFile
    private let second: SpoolKeyFile

    init() throws {
        first = try Self.file()
        second = try Self.file()
    }

    @Test(arguments: [true, false])
    func aWorldThatStopsLeavesNoKeyOrAWholeOne(powerCut: Bool) throws {
        var stop = 1
        var found: Set<Bool> = []
        while true {
            let spool = try TemporarySpool()
            let calls = FaultySyscalls(.stop(before: stop), powerCut: powerCut)
            let isMade = (try? SpoolKeyStore(spool.layout, syscalls: calls).create(first, owners: .caller)) ?? false
            let hasStopped = calls.hasStopped
            calls.endWorld()
            let bytes = try SpoolKeyStore(spool.layout).read()
            #expect(bytes == nil || bytes == first.rendered, "stopped before call \(stop)")
            #expect(!isMade || bytes != nil, "it was said to be durable")
            found.insert(bytes != nil)
            // The next start makes it, or keeps what is there.
            #expect(try SpoolKeyStore(spool.layout).create(second, owners: .caller) == (bytes == nil))
            guard hasStopped, stop < 100 else { break }
            stop += 1
        }
        #expect(found == [true, false] && stop > 5)
    }

    @Test(arguments: [true, false])
    func aWorldThatStopsLeavesTheOldKeyOrTheNew(powerCut: Bool) throws {
        var stop = 1
        var found: Set<[UInt8]> = []
        while true {
            let spool = try TemporarySpool()
            #expect(try SpoolKeyStore(spool.layout).create(first, owners: .caller))
            let calls = FaultySyscalls(.stop(before: stop), powerCut: powerCut)
            let store = SpoolKeyStore(spool.layout, syscalls: calls)
            let isDone = (try? store.replace(with: second, owners: .caller)) != nil
            let hasStopped = calls.hasStopped
            calls.endWorld()
            let bytes = try #require(try SpoolKeyStore(spool.layout).read())
            #expect(bytes == first.rendered || bytes == second.rendered, "stopped before call \(stop)")
            #expect(!isDone || bytes == second.rendered, "it was said to be durable")
            found.insert(bytes)
            // Whatever was left behind is no hindrance.
            try SpoolKeyStore(spool.layout).replace(with: second, owners: .caller)
            #expect(try SpoolKeyStore(spool.layout).read() == second.rendered)
            #expect(try Directory(spool.layout.root, syscalls: LibC()).status(of: "spool.key.new") == nil)
            guard hasStopped, stop < 100 else { break }
            stop += 1
        }
        #expect(found.count == 2 && stop > 6)
    }

    @Test func aKeyThatIsThereIsNeverOverwritten() throws {
        let spool = try TemporarySpool()
        let store = SpoolKeyStore(spool.layout)
        #expect(try store.create(first, owners: .caller))
        #expect(try !store.create(second, owners: .caller))
        #expect(try store.read() == first.rendered)
    }

    @Test func whatIsNoFileIsRefused() throws {
        let spool = try TemporarySpool()
        let store = SpoolKeyStore(spool.layout)
        symlink("/etc/passwd", store.path)
        #expect(throws: QueueError.self) { try store.read() }
        unlink(store.path)
        mkfifo(store.path, 0o600)
        #expect(throws: QueueError.self) { try store.read() }
        #expect(try !store.mend(owners: .caller))
        unlink(store.path)
        #expect(try store.create(first, owners: .caller))
        link(store.path, store.path + ".second")
        #expect(throws: QueueError.self) { try store.read() }
        #expect(try !store.mend(owners: .caller))
    }

    @Test func aFileSystemWithoutUnnamedFiles() throws {
        let spool = try TemporarySpool()
        let calls = FaultySyscalls(
            .when { operation in
                if case .open(_, let path, _, _) = operation, path == "." { return Errno.notSupported }
                return nil
            })
        let store = SpoolKeyStore(spool.layout, syscalls: calls)
        #expect(try store.create(first, owners: .caller))
        try store.replace(with: second, owners: .caller)
        #expect(try store.read() == second.rendered)
        let names = try Directory(spool.layout.root, syscalls: LibC()).names()
        #expect(!names.contains { $0.hasPrefix("tmp.") })
    }

    @Test func aPublicKeyAndItsIDBelongTogether() throws {
        let key = try KeyRing(.random()).publicKey
        #expect(try PublicKey(key.description, id: key.id.description, of: "submit.conf") == key)
        for (text, id) in [
            (key.description, "0000000000000000"), (key.description, ""), ("", key.id.description),
            (key.description.uppercased(), key.id.description),
            (String(key.description.dropLast()), key.id.description),
        ] {
            #expect(throws: SealError.self) { try PublicKey(text, id: id, of: "submit.conf") }
        }
    }
}
