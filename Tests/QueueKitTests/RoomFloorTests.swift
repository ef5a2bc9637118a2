import Glibc
import MailModel
import Synchronization
import SystemPackage
import Testing

@testable import QueueKit

/// A file system that says how much room it has as it is told to.
private final class SmallDisk: Syscalls {
    let free = Atomic<UInt64>(.max)

    func perform(_ operation: QueueKit.Operation, at site: CallSite) throws(Errno) -> Int {
        guard case .room(_, let into) = operation else { return try LibC().perform(operation, at: site) }
        into.pointee = room(free: free.load(ordering: .relaxed))
        return 0
    }
}

/// There is a function of that name too.
typealias StatVFS = statvfs

func room(free: UInt64, of all: UInt64 = 10_000, inodes: (free: UInt, all: UInt) = (500, 1000)) -> statvfs {
    var room = statvfs()
    (room.f_frsize, room.f_blocks, room.f_bavail) = (4096, UInt(all), UInt(min(free, all)))
    (room.f_files, room.f_favail) = (inodes.all, inodes.free)
    return room
}

@Suite struct RoomFloorTests {
    @Test(arguments: [
        ("half is free", room(free: 5000), 0, false),
        ("a twentieth is free", room(free: 500), 0, false),
        ("one block less", room(free: 499), 0, true),
        ("what is written would take the last of it", room(free: 501), 4097, true),
        ("what is written just fits", room(free: 501), 4096, false),
        ("of a large disk 64 MiB are enough", room(free: 16384, of: 1 << 30), 0, false),
        ("and one block less is not", room(free: 16383, of: 1 << 30), 0, true),
        ("few inodes", room(free: 5000, inodes: (49, 1000)), 0, true),
        ("few inodes of many", room(free: 5000, inodes: (999, 1 << 30)), 0, true),
        ("no table of inodes", room(free: 5000, inodes: (0, 0)), 0, false),
        ("a file system without blocks", room(free: 0, of: 0), 0, false),
    ])
    func shortage(reason: String, room: StatVFS, octets: UInt64, isShort: Bool) {
        #expect((RoomFloor.shortage(room, octets: octets) != nil) == isShort, "\(reason)")
    }

    @Test func newMailIsRefusedAndTheRunnerIsNot() throws {
        let (spool, disk) = (try TemporarySpool(), SmallDisk())
        let listener = try listenerIntake(spool.layout, syscalls: disk)
        let runner = try Intake(spool.layout, place: .queue, protection: try TestProtection.of(.runner), syscalls: disk)
        defer { [listener, runner].forEach { $0.close() } }
        let sizes = [100, 300_000]
        disk.free.store(100, ordering: .relaxed)
        for size in sizes {
            let refusal = try #require(storing(size, in: listener))
            #expect(refusal.statusCode == EnhancedStatusCode(4, 3, 1) && refusal.exitStatus == 75)
            #expect(refusal.description.contains("has 400 KiB left, and 2000 KiB of it are kept"))
            #expect(storing(size, in: runner) == nil)
        }
        #expect(throws: QueueError.self) { try OfflineDrop(spool.layout, envelope(), syscalls: disk) }
        disk.free.store(1000, ordering: .relaxed)
        for size in sizes { #expect(storing(size, in: listener) == nil) }
        let drop = try OfflineDrop(spool.layout, envelope(), syscalls: disk)
        disk.free.store(100, ordering: .relaxed)
        #expect(throws: QueueError.self) { try drop.append([1, 2, 3]) }
        drop.abort()
    }

    private func storing(_ size: Int, in intake: Intake) -> QueueError? {
        let message = intake.begin(envelope())
        _ = message.append([UInt8](repeating: 65, count: size))
        let answer = Monitor<Result<Void, QueueError>?>(nil)
        message.commit { result in answer.update { $0 = result } }
        let result = answer.wait(limit: 10_000) { $0 }
        guard case .failure(let error) = result else { return nil }
        return error
    }
}
