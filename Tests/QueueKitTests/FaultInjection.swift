// System calls that fail when a test says so, and a world that stops: after a kill nothing more is done, after a power
// cut all that was not synced is taken back as well.
//
//   let calls = FaultySyscalls(.stop(before: 17), powerCut: true)
//   ... whatever works with `calls` ...
//   calls.endWorld()       what a disk would hold now

import Glibc
import MailModel
import SystemPackage

@testable import QueueKit

/// The calls, by kind, so that a test can name one without its arguments.
enum CallKind: String, CaseIterable, Sendable {
    case open, close, pread, pwrite, write, fdatasync, fsync, ftruncate, fallocate, fstat, fstatat, fchmod, fchown,
        flock, linkUnnamed, rename, replace, unlink, mkdir, mkfifo, list, room
}

extension QueueKit.Operation {
    var kind: CallKind {
        switch self {
        case .open: .open
        case .close: .close
        case .pread: .pread
        case .pwrite: .pwrite
        case .write: .write
        case .fdatasync: .fdatasync
        case .fsync: .fsync
        case .ftruncate: .ftruncate
        case .fallocate: .fallocate
        case .fstat: .fstat
        case .fstatat: .fstatat
        case .fchmod: .fchmod
        case .fchown: .fchown
        case .flock: .flock
        case .linkUnnamed: .linkUnnamed
        case .rename: .rename
        case .replace: .replace
        case .unlink: .unlink
        case .mkdir: .mkdir
        case .mkfifo: .mkfifo
        case .list: .list
        case .room: .room
        }
    }
}

/// What goes wrong, and when. Calls are counted from 1.
enum Fault: Sendable {
    case none
    /// One call of a kind fails.
    case once(CallKind, Int, Errno)
    /// That call and all later ones of its kind fail, until `heal()`.
    case from(CallKind, Int, Errno)
    /// Whatever the closure gives an error for fails, until `heal()`.
    case when(@Sendable (QueueKit.Operation) -> Errno?)
    /// The call with this number, of all calls that change something, is not made, nor any later one. A write is made
    /// by half.
    case stop(before: Int)
    /// The first call of a kind from a place fails, or is made by half.
    case at(FaultSite, Errno?)
    /// Before the first call of a kind from a place the world stops.
    case stopAt(FaultSite)
}

/// A kind of call, and the line that asks for it.
struct FaultSite: Hashable, Sendable, CustomStringConvertible {
    var kind: CallKind
    var place: CallSite
    var description: String { "\(kind) at \(place)" }
}

/// The operating system with a fault. Syncs are not passed on: a test's folder need not reach a disk.
final class FaultySyscalls: Syscalls {
    private struct State {
        var fault: Fault
        var counts: [CallKind: Int] = [:]
        var changes = 0
        var stopped = false
        var failed = 0
        var unsynced: Unsynced?
        var sites: Set<FaultSite> = []
    }

    private let state: Monitor<State>
    private let system = LibC()

    init(_ fault: Fault = .none, powerCut: Bool = false) {
        state = Monitor(State(fault: fault, unsynced: powerCut ? Unsynced() : nil))
    }

    /// How many calls that change something were made: the stopping points of a walk.
    var changes: Int { state.access { $0.changes } }
    var hasStopped: Bool { state.access { $0.stopped } }
    /// From where which calls came.
    var sites: Set<FaultSite> { state.access { $0.sites } }
    /// Whether any call failed by the fault.
    var hasFailed: Bool { state.access { $0.failed > 0 } }
    func count(_ kind: CallKind) -> Int { state.access { $0.counts[kind, default: 0] } }

    func heal() { state.access { $0.fault = .none } }
    func set(_ fault: Fault) { state.access { $0.fault = fault } }

    /// Stops everything, and with `powerCut` takes back what was not synced.
    func endWorld() {
        state.access { state in
            state.stopped = true
            state.unsynced?.takeBack()
            state.unsynced = nil
        }
    }

    func perform(_ operation: QueueKit.Operation, at site: CallSite) throws(Errno) -> Int {
        // A process that ends closes its files, whatever stopped it.
        if case .close = operation { return try system.perform(operation, at: site) }
        let result = state.access { state in
            Result { () throws(Errno) in try self.perform(operation, at: site, &state) }
        }
        return try result.get()
    }

    private func perform(
        _ operation: QueueKit.Operation, at site: CallSite, _ state: inout State
    ) throws(Errno) -> Int {
        let kind = operation.kind
        guard !state.stopped else { throw .ioError }
        state.counts[kind, default: 0] += 1
        if kind.isChange { state.changes += 1 }
        do throws(Errno) {
            if try isHalved(operation, site, &state), case .pwrite(let file, let bytes, let offset) = operation {
                return try system.perform(
                    .pwrite(file, UnsafeRawBufferPointer(rebasing: bytes.prefix(bytes.count / 2)), offset: offset),
                    at: site)
            }
            try check(operation, &state)
        } catch {
            state.failed += 1
            throw error
        }
        if kind == .fsync || kind == .fdatasync {
            state.unsynced?.synced(operation)
            return 0
        }
        let undo = state.unsynced?.before(operation)
        let result = try system.perform(operation, at: site)
        if let undo { state.unsynced?.after(operation, undo, result) }
        return result
    }

    /// Faults that belong to a place, each for the first call from there.
    private func isHalved(
        _ operation: QueueKit.Operation, _ site: CallSite, _ state: inout State
    ) throws(Errno) -> Bool {
        let site = FaultSite(kind: operation.kind, place: site)
        let isFirst = state.sites.insert(site).inserted
        switch state.fault {
        case .at(site, let error) where isFirst:
            state.failed += 1
            if let error { throw error }
            return true
        case .stopAt(site) where isFirst:
            if case .pwrite(let file, let bytes, let offset) = operation { writeHalf(file, bytes, offset, &state) }
            state.stopped = true
            throw .ioError
        default: return false
        }
    }

    private func check(_ operation: QueueKit.Operation, _ state: inout State) throws(Errno) {
        switch state.fault {
        case .none, .at, .stopAt: return
        case .once(let kind, let number, let error):
            if kind == operation.kind && state.counts[kind] == number { throw error }
        case .from(let kind, let number, let error):
            if kind == operation.kind && state.counts[kind, default: 0] >= number { throw error }
        case .when(let rule): if let error = rule(operation) { throw error }
        case .stop(let number):
            guard operation.kind.isChange, state.changes >= number else { return }
            if case .pwrite(let file, let bytes, let offset) = operation { writeHalf(file, bytes, offset, &state) }
            state.stopped = true
            throw .ioError
        }
    }

    private func writeHalf(_ file: Int32, _ bytes: UnsafeRawBufferPointer, _ offset: Int64, _ state: inout State) {
        let half = UnsafeRawBufferPointer(rebasing: bytes.prefix(bytes.count / 2))
        let operation = QueueKit.Operation.pwrite(file, half, offset: offset)
        let undo = state.unsynced?.before(operation)
        let count = try? system.perform(operation, at: CallSite(file: #fileID, line: #line))
        if let undo, let count { state.unsynced?.after(operation, undo, count) }
    }
}

extension CallKind {
    /// Whether the call can leave something behind on the disk, or makes it durable.
    var isChange: Bool {
        switch self {
        case .open, .pwrite, .write, .fdatasync, .fsync, .ftruncate, .fallocate, .fchmod, .fchown, .linkUnnamed,
            .rename, .replace, .unlink, .mkdir, .mkfifo:
            true
        case .close, .pread, .fstat, .fstatat, .flock, .list, .room: false
        }
    }
}

/// What was done and not synced, so that it can be taken back. Names become durable with a sync of their directory, or
/// a new one with fsync of its file, as on ext4; bytes with a sync of their file.
private final class Unsynced {
    struct Inode: Hashable {
        var device: UInt
        var number: UInt
    }

    /// How to take one change back.
    enum Undo {
        case nothing
        case bytes(Inode, offset: Int64, old: [UInt8], size: Int64)
        case linked(directory: Int32, name: String, Inode)
        case renamed(from: Int32, String, to: Int32, String, grave: String?)
        case unlinked(directory: Int32, name: String, grave: String)
    }

    private var names: [(directories: Set<Inode>, undo: Undo)] = []
    private var bytes: [Inode: [Undo]] = [:]
    /// Descriptors of our own, by inode: the program closes its own.
    private var files: [Inode: Int32] = [:]
    private let grave: String
    private var buried = 0

    init() {
        grave = "/tmp/pouch-grave.\(QueueID.make(SystemClock()))"
        mkdir(grave, 0o700)
    }

    deinit {
        files.values.forEach { _ = close($0) }
        for number in 0..<buried { unlink("\(grave)/\(number)") }
        rmdir(grave)
    }

    func before(_ operation: QueueKit.Operation) -> Undo {
        switch operation {
        case .pwrite(let file, let content, let offset):
            return remember(file, from: offset, count: content.count)
        case .ftruncate(let file, let size):
            guard let old = status(file)?.st_size else { return .nothing }
            return remember(file, from: Int64(size), count: max(0, old - Int(size)))
        case .fallocate(let file, let offset, _): return remember(file, from: offset, count: 0)
        case .open(let directory, let path, let flags, _) where flags & O_CREAT != 0:
            return .linked(directory: keep(directory), name: path, Inode(device: 0, number: 0))
        case .linkUnnamed(let file, let directory, let path):
            return .linked(directory: keep(directory), name: path, inode(file))
        case .rename(let from, let old, let to, let new):
            return .renamed(from: keep(from), old, to: keep(to), new, grave: nil)
        case .replace(let from, let old, let to, let new):
            return .renamed(from: keep(from), old, to: keep(to), new, grave: bury(to, new))
        case .unlink(let directory, let path):
            guard let grave = bury(directory, path) else { return .nothing }
            return .unlinked(directory: keep(directory), name: path, grave: grave)
        default: return .nothing
        }
    }

    /// The change was made: it may have to be taken back.
    func after(_ operation: QueueKit.Operation, _ undo: Undo, _ result: Int) {
        switch undo {
        case .nothing: break
        case .bytes(let inode, _, _, _): bytes[inode, default: []].append(undo)
        case .linked(let directory, let name, let file):
            // A file created by open(2) is known now.
            let inode = file.number == 0 ? inode(Int32(result)) : file
            names.append(([self.inode(directory)], .linked(directory: directory, name: name, inode)))
        case .unlinked(let directory, _, _): names.append(([inode(directory)], undo))
        case .renamed(let from, _, let to, _, _): names.append(([inode(from), inode(to)], undo))
        }
    }

    func synced(_ operation: QueueKit.Operation) {
        switch operation {
        case .fsync(let file):
            let inode = inode(file)
            bytes[inode] = nil
            names.removeAll { change in
                if case .linked(_, _, inode) = change.undo { return true }
                return change.directories.contains(inode)
            }
        case .fdatasync(let file): bytes[inode(file)] = nil
        default: break
        }
    }

    func takeBack() {
        for change in names.reversed() { takeBack(change.undo) }
        for change in bytes.values.flatMap({ $0.reversed() }) { takeBack(change) }
        (names, bytes) = ([], [:])
    }

    private func takeBack(_ undo: Undo) {
        switch undo {
        case .nothing: break
        case .bytes(let inode, let offset, let old, let size):
            guard let file = files[inode] else { return }
            _ = old.withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, Int(offset)) }
            ftruncate(file, Int(size))
        case .linked(let directory, let name, _): unlinkat(directory, name, 0)
        case .renamed(let from, let old, let to, let new, let grave):
            renameat(to, new, from, old)
            if let grave { renameat(AT_FDCWD, grave, to, new) }
        case .unlinked(let directory, let name, let grave): renameat(AT_FDCWD, grave, directory, name)
        }
    }

    private func remember(_ file: Int32, from offset: Int64, count: Int) -> Undo {
        guard let status = status(file) else { return .nothing }
        let own = keep(file)
        var old = [UInt8](repeating: 0, count: min(count, max(0, Int(status.st_size) - Int(offset))))
        let length = pread(own, &old, old.count, Int(offset))
        return .bytes(inode(file), offset: offset, old: Array(old.prefix(max(0, length))), size: Int64(status.st_size))
    }

    /// Links a file that is about to lose its name.
    private func bury(_ directory: Int32, _ name: String) -> String? {
        let path = "\(grave)/\(buried)"
        guard linkat(directory, name, AT_FDCWD, path, 0) == 0 else { return nil }
        buried += 1
        return path
    }

    private func status(_ file: Int32) -> stat? {
        var result = stat()
        return fstat(file, &result) == 0 ? result : nil
    }

    private func inode(_ file: Int32) -> Inode {
        let status = status(file)
        return Inode(device: UInt(status?.st_dev ?? 0), number: UInt(status?.st_ino ?? 0))
    }

    private func keep(_ file: Int32) -> Int32 {
        let inode = inode(file)
        if let own = files[inode] { return own }
        // A descriptor of its own: the lock of the program's goes with the program's.
        var own = open("/proc/self/fd/\(file)", O_RDWR | O_CLOEXEC)
        if own < 0 { own = open("/proc/self/fd/\(file)", O_RDONLY | O_CLOEXEC) }
        files[inode] = own
        return own
    }
}
