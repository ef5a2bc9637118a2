// Every call to the system fails once, from every place that makes it, with every error that applies; and the world
// stops there, as a kill and as a power cut. A point is (call, place, fault), counted once. After each, a new runner finds
// what was acknowledged, once, and nothing half done.

import Glibc
import MailModel
import SystemPackage
import Testing

@testable import QueueKit

private enum PointFault: Hashable {
    case error(Errno)
    case short, kill, powerCut

    static func all(_ kind: CallKind) -> [PointFault] {
        let errors: [Errno] =
            switch kind {
            case .open: [.permissionDenied, .tooManyOpenFiles, .ioError, .noSpace, .readOnlyFileSystem, .noMemory]
            case .pread: [.ioError, .noMemory]
            case .pwrite, .write: [.noSpace, .ioError, .diskQuotaExceeded, .readOnlyFileSystem]
            case .fdatasync, .fsync: [.ioError, .noSpace, .diskQuotaExceeded, .readOnlyFileSystem]
            case .ftruncate: [.ioError, .readOnlyFileSystem, .diskQuotaExceeded]
            case .fallocate: [.noSpace, .ioError, .diskQuotaExceeded, .readOnlyFileSystem, .notSupported]
            case .fstat, .fstatat: [.ioError, .permissionDenied, .noMemory]
            case .fchmod, .fchown: [.notPermitted, .ioError, .readOnlyFileSystem, .noSpace]
            case .flock: [.noLocks, .ioError]
            case .linkUnnamed, .rename, .replace:
                [.noSpace, .ioError, .permissionDenied, .readOnlyFileSystem, .diskQuotaExceeded]
            case .unlink: [.ioError, .permissionDenied, .readOnlyFileSystem]
            case .mkdir, .mkfifo: [.noSpace, .permissionDenied, .readOnlyFileSystem]
            case .list: [.ioError, .permissionDenied, .tooManyOpenFiles]
            // Whoever can't tell what room there is finds out when it writes.
            case .room: [.ioError, .noFunction]
            case .close: []
            }
        return errors.map(PointFault.error) + (kind == .pwrite ? [.short] : [])
            + (kind.isChange ? [.kill, .powerCut] : [])
    }

    func fault(_ site: FaultSite) -> Fault {
        switch self {
        case .error(let error): .at(site, error)
        case .short: .at(site, nil)
        case .kill, .powerCut: .stopAt(site)
        }
    }
}

/// Something that happens to mail, and what must hold afterwards.
private protocol Walk {
    init(_ calls: FaultySyscalls) throws
    func run() throws
    func verify(_ point: Comment) throws
}

/// In the sealed run alone: its calls are those of a plain queue, and the ledger's.
@Suite(.enabled(if: !TestProtection.isPlain)) struct FaultPointTests {
    private static let walks: [(name: String, make: @Sendable (FaultySyscalls) throws -> any Walk)] = [
        ("accept, drop, pick up, deliver, defer, retire, recover", { try LifeWalk($0) }),
        ("empty a sparse segment", { try EmptyingWalk($0) }),
        ("rekey", { try RekeyWalk($0) }),
        ("damage", { try DamageWalk($0) }),
        ("create the spool and its key", { try CreateWalk($0) }),
        ("list, check, mend, order", { try InspectionWalk($0) }),
        ("spares", { try SpareWalk($0) }),
    ]

    @Test(arguments: walks.map(\.name))
    func everyCallFailsOnce(name: String) throws {
        let make = try #require(Self.walks.first { $0.name == name }?.make)
        var sites: Set<FaultSite> = []
        // Threads run differently from time to time.
        for _ in 0..<3 {
            let calls = FaultySyscalls()
            let walk = try make(calls)
            try walk.run()
            sites.formUnion(calls.sites)
            calls.endWorld()
            try walk.verify("no fault")
        }
        var points = 0
        for site in sites.sorted(by: { "\($0)" < "\($1)" }) {
            for fault in PointFault.all(site.kind) {
                let calls = FaultySyscalls(fault.fault(site), powerCut: fault == .powerCut)
                guard let walk = try? make(calls) else { continue }
                try? walk.run()
                let isHit = calls.hasFailed || calls.hasStopped
                calls.endWorld()
                try walk.verify("\(fault) of \(site)")
                if isHit { points += 1 }
            }
        }
        print("fault points: \(points) (\(sites.count) places): \(name)")
        #expect(points > sites.count)
    }
}

private struct LifeWalk: Walk {
    private let life: Life
    init(_ calls: FaultySyscalls) throws { life = Life(spool: try TemporarySpool(), calls: calls) }
    func run() throws { try life.run() }
    func verify(_ point: Comment) throws { try life.verify(point) }
}

private struct EmptyingWalk: Walk {
    private let sparse: Sparse
    private let calls: FaultySyscalls

    init(_ calls: FaultySyscalls) throws {
        (sparse, self.calls) = (try Sparse(), calls)
        let first = try sparse.runner()
        try sparse.thinOut(first)
        first.queue.close()
    }

    func run() throws {
        guard let runner = try? sparse.runner(calls) else { return }
        sparse.clock.advance(.seconds(11))
        runner.collect(rounds: 400, unless: { calls.hasStopped }) { sparse.isMoved && !runner.queue.isCollecting }
        runner.queue.close()
    }

    func verify(_ point: Comment) throws { try sparse.expectSurvivors(point) }
}

/// Mail sealed for one key, and a runner that seals for the next.
private struct RekeyWalk: Walk {
    private let spool: TemporarySpool
    private let calls: FaultySyscalls
    private let ring: KeyRing
    private let contents: [QueueID: [UInt8]]
    private let clock = FixedClock()

    init(_ calls: FaultySyscalls) throws {
        (spool, self.calls) = (try TemporarySpool(), calls)
        let (old, new) = (try SpoolSeed.random(), try SpoolSeed.random())
        let first = try KeyRing(old)
        ring = try KeyRing(new, previous: [old])
        let sealer = try SegmentSealer(writer: try #require(first.writerKey(.listener)))
        let intake = try Intake(
            spool.layout, place: .incoming, protection: Protection(sealer: sealer), syscalls: FaultySyscalls())
        var contents: [QueueID: [UInt8]] = [:]
        for (number, size) in [10, 2000, 300_000].enumerated() {
            let envelope = envelope()
            contents[envelope.id] = numbered(number, size: size)
            _ = try intake.store(envelope, numbered(number, size: size))
        }
        intake.close()
        let drop = envelope()
        contents[drop.id] = numbered(9, size: 500)
        try submit(
            spool, drop, numbered(9, size: 500),
            protection: Protection(sealer: SegmentSealer(submitter: first.publicKey)))
        self.contents = contents
    }

    private func runner(_ calls: FaultySyscalls) throws -> TestRunner {
        let sealer = try SegmentSealer(writer: try #require(ring.writerKey(.runner)))
        return try TestRunner(
            spool, calls, clock: clock, protection: Protection(sealer: sealer, compressing: true), keys: ring)
    }

    private var isDone: Bool { (try? KeyUse(spool.layout).others(than: ring.publicKey.id)) == 0 }

    func run() throws {
        let runner = try runner(calls)
        runner.collect(rounds: 400, unless: { calls.hasStopped }) { isDone && !runner.queue.isCollecting }
        runner.queue.close()
    }

    func verify(_ point: Comment) throws {
        clock.advance(.seconds(3600))
        let runner = try runner(FaultySyscalls())
        runner.collect(rounds: 2000) { isDone && !runner.queue.isCollecting && runner.queue.count == contents.count }
        #expect(isDone, point)
        #expect(Set(runner.queue.ids) == Set(contents.keys), point)
        let delivered = try runner.deliverAll()
        #expect(delivered.count == contents.count && delivered.allSatisfy { contents[$0.id] == $0.content }, point)
        #expect(runner.quarantined.isEmpty, "\(point) \(runner.quarantined)")
        runner.queue.close()
    }
}

/// A message that the disk damaged between two that it did not.
private struct DamageWalk: Walk {
    private let spool: TemporarySpool
    private let calls: FaultySyscalls
    private let ids: [QueueID]
    private let clock = FixedClock()

    init(_ calls: FaultySyscalls) throws {
        (spool, self.calls) = (try TemporarySpool(), calls)
        let intake = try listenerIntake(spool.layout)
        let placements = try (0..<3).map { try intake.store(envelope(), numbered($0, size: 900)) }
        intake.close()
        ids = placements.map(\.message.id)
        let file = try spool.directory(.incoming).open("\(placements[0].segment)", flags: O_RDWR)
        try file.flip(at: placements[1].message.contentOffset + 82)
    }

    func run() throws {
        let runner = try TestRunner(spool, calls, clock: clock)
        runner.collect(rounds: 200, unless: { calls.hasStopped }) { !runner.quarantined.isEmpty }
        for id in runner.queue.takeDue(limit: 1) { try? runner.attempt(id, .deferred) }
        runner.queue.close()
    }

    func verify(_ point: Comment) throws {
        clock.advance(.seconds(3600))
        let runner = try TestRunner(spool, FaultySyscalls(), clock: clock)
        runner.collect(rounds: 400) { runner.queue.count == 2 && !runner.queue.isCollecting }
        #expect(Set(runner.queue.ids) == [ids[0], ids[2]], point)
        #expect(try runner.deliverAll().count == 2, point)
        let kept = try spool.names(.quarantine).filter { !$0.hasSuffix(".reason") && !$0.hasPrefix("tmp.") }
        #expect((1...2).contains(kept.count), "\(point): the damaged one is kept, twice after a crash: \(kept)")
        runner.queue.close()
    }
}

/// What `mail-queue init` does.
private final class CreateWalk: Walk {
    private let folder = "/tmp/pouch-create.\(QueueID.make(SystemClock()))"
    private let calls: FaultySyscalls
    private var layout: SpoolLayout { SpoolLayout(root: "\(folder)/spool") }
    private let (passphrase, seed): (Secret, SpoolSeed)

    init(_ calls: FaultySyscalls) throws {
        self.calls = calls
        var text = Array("passphrase".utf8)
        (passphrase, seed) = (Secret(wiping: &text), try SpoolSeed.random())
        mkdir(folder, 0o755)
    }

    deinit {
        for place in SpoolLayout.Place.allCases { rmdir(layout.path(place)) }
        for name in ["spool.key", "spool.key.new", "spool.meta", "trigger"] { unlink("\(layout.root)/\(name)") }
        rmdir(layout.root)
        rmdir(folder)
    }

    func run() throws { try make(calls) }

    private func make(_ calls: FaultySyscalls) throws {
        try layout.create(owners: .caller, syscalls: calls)
        let store = SpoolKeyStore(layout, syscalls: calls)
        let key = SpoolKeyFile(try SpoolKey(seed, passphrase: passphrase))
        if try !store.create(key, owners: .caller) { try store.replace(with: key, owners: .caller) }
    }

    func verify(_ point: Comment) throws {
        try make(FaultySyscalls())
        let found = try SpoolKeyStore(layout, syscalls: LibC()).read()
        let key = try SpoolKeyFile(try #require(found, point))
        _ = try key.current.seed(passphrase)
        #expect(try layout.faults(owners: .caller).isEmpty, point)
        _ = try SpoolMeta.read(layout)
    }
}

/// Whoever looks changes nothing, and whoever orders is obeyed or told.
private final class InspectionWalk: Walk {
    private let spool: TemporarySpool
    private let calls: FaultySyscalls
    private let ids: [QueueID]
    private let clock = FixedClock()
    private var removed = false

    init(_ calls: FaultySyscalls) throws {
        (spool, self.calls) = (try TemporarySpool(), calls)
        let intake = try listenerIntake(spool.layout)
        ids = try (0..<3).map { try intake.store(envelope(), numbered($0, size: 700)).message.id }
        intake.close()
        let runner = try TestRunner(spool, clock: clock)
        for id in runner.queue.takeDue(limit: 3) { try runner.attempt(id, .deferred) }
        runner.queue.close()
        chmod(spool.layout.path(.quarantine), 0o700)
    }

    func run() throws {
        _ = try? QueueSnapshot(spool.layout, keys: TestProtection.keys, syscalls: calls)
        if var check = try? SpoolCheck(spool.layout, keys: TestProtection.keys, syscalls: calls) {
            _ = try? check.run()
        }
        _ = try? KeyUse(spool.layout, syscalls: calls)
        for fault in (try? spool.layout.faults(owners: .caller, syscalls: calls)) ?? [] {
            _ = try? spool.layout.mend(fault, owners: .caller, syscalls: calls)
        }
        guard let runner = try? TestRunner(spool, calls, clock: clock) else { return }
        _ = try? runner.queue.hold(ids[0], reason: "because")
        _ = try? runner.queue.flush(ids[1])
        // What a failing start could not read is not known, and not removed.
        let isOrdered = runner.queue.ids.contains(ids[2]) && (try? runner.queue.remove(ids[2])) != nil
        if runner.settle(), isOrdered { removed = true }
        runner.queue.close()
    }

    func verify(_ point: Comment) throws {
        let runner = try TestRunner(spool, FaultySyscalls(), clock: clock)
        let expected = Set(removed ? Array(ids.dropLast()) : ids)
        #expect(Set(runner.queue.ids).isSubset(of: ids) && Set(runner.queue.ids).isSuperset(of: ids.dropLast()), point)
        #expect(!removed || Set(runner.queue.ids) == expected, "\(point): a removal that was confirmed holds")
        #expect(runner.quarantined.isEmpty, point)
        runner.queue.close()
    }
}

/// Files that are free to be used again: made, taken, kept.
private struct SpareWalk: Walk {
    private let spool: TemporarySpool
    private let calls: FaultySyscalls

    init(_ calls: FaultySyscalls) throws { (spool, self.calls) = (try TemporarySpool(), calls) }

    func run() throws {
        let directory = try Directory(spool.layout.path(.incoming), syscalls: calls)
        let store = DirectorySegmentStore(directory, .incoming, clock: SystemClock())
        try? store.prepareSpare()
        if let writer = try? store.create(.listener, number: 0) {
            let name = writer.name
            // As after a crash of its writer: not cut.
            _ = consume writer
            try? store.retire(name) {}
        }
        try? store.create(.listener, number: 1).close()
    }

    func verify(_ point: Comment) throws {
        let runner = try TestRunner(spool, FaultySyscalls())
        runner.collect(rounds: 50) { (try? spool.names(.incoming).allSatisfy { $0.hasPrefix("spare.") }) ?? false }
        #expect(runner.queue.count == 0 && runner.quarantined.isEmpty, "\(point) \(runner.quarantined)")
        runner.queue.close()
        let intake = try listenerIntake(spool.layout)
        _ = try intake.store(envelope(), text(100))
        intake.close()
        let next = try TestRunner(spool, FaultySyscalls())
        #expect(try next.deliverAll().map(\.content) == [text(100)], point)
        next.queue.close()
    }
}
