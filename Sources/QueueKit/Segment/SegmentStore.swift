// Owns: where segments live: created, listed, opened, freed. Refuses: what is in them.
//
// All mail goes through this protocol, so that a queue kept elsewhere can come later without touching the rest.

import Glibc
import MailModel

/// A segment's file name without its folder: twenty characters of a queue ID, and `.seg`.
struct SegmentName: Hashable, Sendable, Comparable, CustomStringConvertible {
    let id: QueueID
    var description: String { "\(id).seg" }
    var journal: String { "\(id).journal" }

    init(_ id: QueueID) { self.id = id }

    init?(file: String) {
        guard file.hasSuffix(".seg"), let id = QueueID(file.dropLast(4)), "\(id).seg" == file else { return nil }
        self.id = id
    }

    init?(journal: String) {
        guard journal.hasSuffix(".journal"), let id = QueueID(journal.dropLast(8)), "\(id).journal" == journal else {
            return nil
        }
        self.id = id
    }

    static func < (a: SegmentName, b: SegmentName) -> Bool { a.id < b.id }
}

protocol SegmentStore: Sendable {
    /// Where the segments lie, which says who may write them.
    var place: SpoolLayout.Place { get }
    /// A new segment, locked, its header durable, then named, its name durable.
    func create(
        role: SegmentRole, run: [UInt8], number: UInt64, _ protection: Protection
    ) throws(QueueError) -> SegmentWriter
    /// The names of all segments, oldest first.
    func list() throws(QueueError) -> [SegmentName]
    /// Opens a segment for reading; nil when it is gone.
    func open(_ name: SegmentName) throws(QueueError) -> OpenFile?
    /// Frees a segment whose messages are all final: it becomes a spare or goes. Once that is durable, `last` removes
    /// what is known of it; nobody writes over the file before `last` returned.
    func retire(_ name: SegmentName, last: () throws(QueueError) -> Void) throws(QueueError)
    /// - Throws: QueueError with ENOSPC when new mail must not take what room is left.
    func makeSureOfRoom() throws(QueueError)
    /// Makes a spare when there is none: called when a segment fills so fast that the next will be wanted soon.
    func prepareSpare() throws(QueueError)
    /// Whether the segment's file exists.
    func exists(_ name: SegmentName) throws(QueueError) -> Bool
}

/// Segments as files of one directory, with spares beside them.
struct DirectorySegmentStore: SegmentStore {
    let directory: Directory
    let place: SpoolLayout.Place
    let clock: any TimeSource
    private let spares: Spares

    init(_ directory: Directory, _ place: SpoolLayout.Place, clock: any TimeSource) {
        (self.directory, self.place, self.clock) = (directory, place, clock)
        spares = Spares(directory: directory, clock: clock)
    }

    func create(
        role: SegmentRole, run: [UInt8], number: UInt64, _ protection: Protection
    ) throws(QueueError) -> SegmentWriter {
        let plain = SegmentHeader(flags: [], role: role, created: clock.now(), run: run, number: number)
        let start = try SegmentStart(plain, protection)
        let name = SegmentName(.make(clock))
        if let spare = try spares.take(start.header, as: name) {
            try directory.sync()
            return SegmentWriter(spare, name: name, start, prepared: true)
        }
        let unnamed = try directory.openUnnamed(mode: SpoolLayout.fileMode, token: name.id.description)
        do throws(QueueError) {
            try unnamed.file.setMode(SpoolLayout.fileMode)
            guard try unnamed.file.tryLock() else {
                throw QueueError(.system, "lock \(directory.path)/\(name)", cause: .wouldBlock)
            }
            try unnamed.file.write(start.header.blocks, at: 0)
            try unnamed.file.syncData()
            try directory.link(unnamed, as: name.description)
            try directory.sync()
        } catch {
            directory.discard(unnamed)
            throw error
        }
        return SegmentWriter(unnamed.file, name: name, start, prepared: false)
    }

    /// Only what comes from outside is kept out: the runner's own messages are how the queue gets smaller.
    func makeSureOfRoom() throws(QueueError) {
        if place == .incoming { try RoomFloor.check(directory.handle) }
    }

    func prepareSpare() throws(QueueError) { try spares.prepare() }

    func list() throws(QueueError) -> [SegmentName] {
        try directory.names().compactMap(SegmentName.init(file:)).sorted()
    }

    /// Never waits, whatever stands behind the name.
    func open(_ name: SegmentName) throws(QueueError) -> OpenFile? {
        try directory.openIfThere(name.description, flags: O_RDONLY | O_NONBLOCK)
    }

    func retire(_ name: SegmentName, last: () throws(QueueError) -> Void = {}) throws(QueueError) {
        // A writer takes a spare only with its lock: holding it here keeps the old content until all is done.
        let file = try open(name)
        if let file, try file.tryLock(), try spares.keep(name) {
            try directory.sync()
        } else {
            try directory.unlink(name.description)
            try directory.sync()
        }
        try last()
        // The lock lives as long as the file is open.
        withExtendedLifetime(file) {}
    }

    func exists(_ name: SegmentName) throws(QueueError) -> Bool { try directory.status(of: name.description) != nil }
}
