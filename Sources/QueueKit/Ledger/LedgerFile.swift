// Owns: the ledger's file: read, written whole, appended to. Refuses: what it says (LedgerBook), threads (Ledger).
//
// Whole: a temporary file beside it, synced, renamed over it, the folder synced. Appending: one frame, fdatasync. After
// any failure the file is not synced again: the next writing is a whole one. A crash leaves the old file or the new
// one, or a torn last frame.

import CLinux
import Glibc
import MailModel
import SystemPackage

struct LedgerFile {
    static let temporarySuffix = ".new"
    /// A file this many times its packed size is packed again, but not a small one.
    static let growth: Int64 = 4
    static let smallSize: Int64 = 1 << 20
    /// A freed segment takes about 100 octets.
    static let reserveStep: Int64 = 64 << 10

    let place: LedgerPlace
    private let folder: Directory
    private let clock: any TimeSource
    private let keyID: KeyID
    private let key: Secret

    private var open: OpenFile?
    private var sealer: LedgerSealer?
    private var end: Int64 = 0
    /// Blocks exist up to here: on a full disk segments can be freed all the same.
    private var allocated: Int64 = 0
    private var packedSize: Int64 = 0

    init(
        _ place: LedgerPlace, _ keys: KeyRing, clock: any TimeSource, syscalls: any Syscalls
    ) throws(QueueError) {
        (self.place, self.clock) = (place, clock)
        folder = try Self.folder(place, syscalls)
        let id = keys.publicKey.id
        keyID = id
        key = try sealed("write the ledger \(place.path)") { () throws(SealError) in try keys.ledgerKey(id) }
    }

    /// Whether the next write must be a whole one.
    var wantsPacking: Bool { open == nil || end > max(Self.smallSize, packedSize * Self.growth) }

    private static func folder(
        _ place: LedgerPlace, _ syscalls: any Syscalls, flags: Int32 = O_RDONLY
    ) throws(QueueError) -> Directory {
        do throws(QueueError) {
            return Directory(try OpenFile(place.folder, flags: flags | O_DIRECTORY, syscalls: syscalls))
        } catch {
            guard error.cause == .noSuchFileOrDirectory else { throw error }
            throw QueueError(
                .missing, "use the ledger \(place.path)", cause: error.cause,
                explanation: "there is no folder \(place.folder). Make it, with the runner as its owner, or change "
                    + "`queue ledger`.")
        }
    }

    // MARK: Reading

    enum Found {
        case none
        case unusable(String)
        case read(LedgerReading)
    }

    /// - Throws: QueueError `.newerFormat` for a ledger that this program must leave alone, or what failed.
    static func read(_ place: LedgerPlace, _ keys: KeyRing, syscalls: any Syscalls) throws(QueueError) -> Found {
        let noLedger = "it is not a regular file, or larger than a ledger ever is."
        let opened: OpenFile?
        do throws(QueueError) {
            // Operators may pass through the spool's own directory, not list it.
            opened = try folder(place, syscalls, flags: pouch_o_path).openIfThere(
                place.file, flags: O_RDONLY | O_NONBLOCK)
        } catch {
            guard [.tooManySymbolicLinkLevels, .noSuchAddressOrDevice].contains(error.cause) else { throw error }
            return .unusable(noLedger)
        }
        guard let file = opened else { return .none }
        let status = try file.status()
        guard status.st_mode & S_IFMT == S_IFREG, Int64(status.st_size) <= LedgerFormat.sizeLimit else {
            return .unusable(noLedger)
        }
        let bytes = try file.read(Int(status.st_size), at: 0)
        guard let header = LedgerFormat.Header(bytes) else {
            guard !LedgerFormat.isNewer(bytes) else {
                throw QueueError(
                    .newerFormat, "read the ledger \(place.path)",
                    explanation: "it was written by a newer Pouch. Install that again.")
            }
            return .unusable("its header is damaged.")
        }
        guard keys.ids.contains(header.keyID) else {
            return .unusable("it was sealed for the key \(header.keyID), which is not known here.")
        }
        return .read(
            try sealed("read the ledger \(place.path)") { () throws(SealError) in
                try LedgerReading(bytes, header, key: keys.ledgerKey(header.keyID))
            })
    }

    /// Moves a ledger that can't be used out of the way; gives its new name.
    func keepAside() throws(QueueError) -> String {
        let name = "\(place.file).damaged.\(QueueID.make(clock))"
        try folder.rename(place.file, to: folder, name)
        return name
    }

    static func remove(_ place: LedgerPlace, syscalls: any Syscalls) throws(QueueError) {
        let folder: Directory
        do throws(QueueError) { folder = try Self.folder(place, syscalls) } catch {
            // Nothing lies in a folder that is not there.
            guard error.kind != .missing else { return }
            throw error
        }
        guard try folder.status(of: place.file) != nil else { return }
        try folder.unlink(place.file)
        try folder.sync()
    }

    // MARK: Writing

    mutating func replace(_ entries: [LedgerEntry]) throws(QueueError) {
        (open, sealer) = (nil, nil)
        let payloads = LedgerFormat.payloads(entries)
        let header = LedgerFormat.Header(packedFrames: payloads.count + 1, created: clock.now(), keyID: keyID)
        let operation = "write the ledger \(place.path)"
        let sealer = try sealed(operation) { () throws(SealError) in try LedgerSealer(key, header) }
        let temporary = place.file + Self.temporarySuffix
        try folder.unlink(temporary)
        let file = try folder.open(temporary, flags: O_RDWR | O_CREAT | O_EXCL, mode: SpoolLayout.fileMode)
        try file.setMode(SpoolLayout.fileMode)
        try share(file)
        var position: Int64 = 0
        func write(_ bytes: [UInt8]) throws(QueueError) {
            try file.write(bytes, at: position)
            position += Int64(bytes.count)
        }
        try write(header.bytes)
        try write(try sealed(operation) { () throws(SealError) in try sealer.opening() })
        for payload in payloads {
            try write(try sealed(operation) { () throws(SealError) in try sealer.frame(payload) })
        }
        try file.sync()
        try folder.replace(place.file, with: temporary)
        try folder.sync()
        (open, self.sealer, end, packedSize, allocated) = (file, sealer, position, position, position)
        reserve(file)
    }

    /// Room for what is to come; without it what comes is written as long as the disk has room.
    private mutating func reserve(_ file: OpenFile) {
        guard allocated - end < Self.reserveStep / 2 else { return }
        let length = end + Self.reserveStep - allocated
        do throws(QueueError) {
            try file.reserve(offset: allocated, length: length)
            allocated += length
        } catch {
            allocated = max(allocated, end)
        }
    }

    /// Operators may read it: it gets its folder's group where that is allowed.
    private func share(_ file: OpenFile) throws(QueueError) {
        let group = try folder.handle.status().st_gid
        do throws(QueueError) {
            try SpoolLayout.own(file, (geteuid(), group))
        } catch {
            guard error.cause == .notPermitted else { throw error }
        }
    }

    /// Appends entries and makes them durable.
    mutating func append(_ payload: [UInt8]) throws(QueueError) {
        guard let file = open, let sealer else { throw QueueError(.system, "write the ledger \(place.path)") }
        // Put back only when all went well: a file is never written on behind something that failed.
        open = nil
        let frame = try sealed("write the ledger \(place.path)") { () throws(SealError) in
            try sealer.frame(payload)
        }
        try file.write(frame, at: end)
        try file.syncData()
        (open, end) = (file, end + Int64(frame.count))
        reserve(file)
    }
}

/// What sealing says, as the queue's callers know errors.
private func sealed<Result>(
    _ operation: String, _ body: () throws(SealError) -> Result
) throws(QueueError) -> Result {
    do throws(SealError) {
        return try body()
    } catch {
        throw QueueError(.system, operation, explanation: error.explanation)
    }
}
