// The spool's folders: made, mended, and who may do what in them.

import Glibc
import MailModel
import Testing

@testable import QueueKit

@Suite struct RecoverySpoolTests {
    @Test func initMendsWhatACrashLeftHalfMade() throws {
        let spool = try TemporarySpool()
        for place in SpoolLayout.Place.allCases { chmod(spool.layout.path(place), 0o700) }
        chmod(spool.layout.trigger, 0o600)
        unlink(spool.layout.meta)
        let isNew = try spool.layout.create(owners: .caller, syscalls: FaultySyscalls())
        #expect(isNew)
        let top = try Directory(spool.layout.root, syscalls: LibC())
        let modes = try ["offline", "incoming", "queue", "quarantine", "run", "trigger", "spool.meta"].map {
            (try top.status(of: $0)?.st_mode ?? 0) & 0o7777
        }
        #expect(modes == [0o3773, 0o2770, 0o2770, 0o2770, 0o755, 0o622, 0o644])
        let again = try spool.layout.create(owners: .caller, syscalls: FaultySyscalls())
        #expect(!again, "it is there already")
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give a spool to somebody else"))
    func onlyItsOwnerRunsASpool() throws {
        let spool = try TemporarySpool()
        chown(spool.layout.root, 12345, 12345)
        let error = #expect(throws: QueueError.self) { _ = try TestRunner(spool) }
        #expect(error?.exitStatus == 77)
        #expect(error?.description.contains("uid 12345") == true)
    }

    /// DESIGN §3, three uids: the runner, the listener, and anybody. A thread becomes each of them for its file accesses
    /// (setfsuid(2) is the thread's own), which takes root's rights over files away as well.
    @Test(.enabled(if: geteuid() == 0, "only root can become three users"))
    func threeUsersAndNoMore() throws {
        let spool = try TemporarySpool()
        let owners = SpoolOwners(relayUID: 60_001, listenerUID: 60_002, group: 60_003)
        let layout = spool.layout
        for fault in try layout.faults(owners: owners) { _ = try layout.mend(fault, owners: owners) }
        let left = try layout.faults(owners: owners)
        #expect(left.isEmpty)
        let anybody = user(60_009, 60_009) {
            try submit(spool, envelope())
            #expect(throws: QueueError.self) { _ = try spool.names(.offline) }
            #expect(throws: QueueError.self) { _ = try spool.directory(.queue) }
            #expect(throws: QueueError.self) { _ = try spool.directory(.incoming) }
            #expect(throws: QueueError.self) { _ = try Directory(layout.root, syscalls: LibC()) }
        }
        let listener = user(60_002, 60_002) {
            let intake = try listenerIntake(layout)
            _ = try intake.store(envelope(), text(100))
            _ = try intake.store(envelope(), text(300_000))
            intake.close()
            #expect(throws: QueueError.self) { _ = try spool.directory(.queue) }
            #expect(throws: QueueError.self) { _ = try spool.names(.offline) }
        }
        let runner = user(60_001, 60_003) {
            let incoming = try spool.directory(.incoming)
            let store = DirectorySegmentStore(incoming, .incoming, clock: SystemClock())
            #expect(try store.list().count == 2)
            for name in try store.list() {
                let status = try incoming.status(of: name.description)
                #expect(
                    status?.st_uid == 60_002 && status?.st_gid == 60_003 && (status?.st_mode ?? 0) & 0o7777 == 0o640)
                let file = try #require(try store.open(name))
                #expect(try SegmentReader(file).header.role == .listener)
                _ = consume file
                try store.retire(name)
            }
            #expect(try spool.names(.incoming).isEmpty)
            let pickup = OfflinePickup(
                directory: try spool.directory(.offline), clock: SystemClock(), sizeLimit: 1 << 20,
                keys: TestProtection.keys)
            let drop = try #require(try spool.names(.offline).first)
            let status = try pickup.directory.status(of: drop)
            #expect(status?.st_uid == 60_009 && status?.st_gid == 60_003 && (status?.st_mode ?? 0) & 0o7777 == 0o440)
            guard case .accept(let reader, let message) = try pickup.examine(drop) else {
                Issue.record("the drop was not accepted")
                return
            }
            #expect(try OfflinePickup.envelope(of: message, reader).envelope.origin == .submission(uid: 60_009))
            try pickup.directory.unlink(drop)
        }
        let stranger = user(60_010, 60_010) {
            #expect(throws: QueueError.self) { try Directory(layout.root, syscalls: LibC()).unlink("spool.meta") }
            let meta = try SpoolMeta.read(layout)
            #expect(meta.version == 1)
        }
        for problem in [anybody, listener, runner, stranger] { #expect(problem == nil) }
    }

    /// Runs `body` on a thread that accesses files as somebody else; gives what it threw.
    private func user(_ uid: UInt32, _ gid: UInt32, _ body: @escaping @Sendable () throws -> Void) -> String? {
        let result = Monitor<String??>(nil)
        let thread = try? Thread("user") {
            do {
                try Self.become("setfsgid", gid)
                try Self.become("setfsuid", uid)
                try body()
                result.update { $0 = .some(nil) }
            } catch { result.update { $0 = "\(error)" } }
        }
        thread?.join()
        return result.access { $0 } ?? "no thread"
    }

    /// Swift's Glibc doesn't show these two.
    private static func become(_ call: String, _ number: UInt32) throws {
        guard let symbol = dlsym(nil, call) else { throw QueueError(.system, "find \(call)") }
        let function = unsafeBitCast(symbol, to: (@convention(c) (UInt32) -> Int32).self)
        _ = function(number)
        // It gives the number before the call; asking again gives the one after it.
        guard function(number) == Int32(number) else { throw QueueError(.system, "become \(number)") }
    }
}
