// Owns: which keys the files of the spool are sealed for, by their headers in clear. Refuses: opening any of them.

import Glibc
import MailModel

/// How many files wait for each key.
public struct KeyUse: Hashable, Sendable {
    /// Segments, journals and drops of the queue.
    public private(set) var queued: [KeyID: Int] = [:]
    /// Those of them that are not sealed at all.
    public private(set) var clear = 0
    /// Files in quarantine.
    public private(set) var kept: [KeyID: Int] = [:]

    /// Looks at every file's header; what can't be read counts for no key.
    ///
    /// - Throws: QueueError when a folder of the spool can't be listed.
    public init(_ layout: SpoolLayout, syscalls: any Syscalls = LibC()) throws(QueueError) {
        for place in [SpoolLayout.Place.offline, .incoming, .queue, .quarantine] {
            let directory = try Directory(layout.path(place), syscalls: syscalls)
            for name in try directory.names() where !name.hasPrefix(Spares.prefix) {
                guard let start = try? Self.start(name, directory), let key = Self.key(start) else { continue }
                count(key, in: place)
            }
        }
    }

    private mutating func count(_ key: KeyID?, in place: SpoolLayout.Place) {
        switch (place, key) {
        case (.quarantine, let key?): kept[key, default: 0] += 1
        case (.quarantine, nil): break
        case (_, let key?): queued[key, default: 0] += 1
        case (_, nil): clear += 1
        }
    }

    /// Whether files of the queue are sealed otherwise than for this key.
    public func others(than key: KeyID) -> Int {
        clear + queued.reduce(0) { $1.key == key ? $0 : $0 + $1.value }
    }

    private static func start(_ name: String, _ directory: Directory) throws(QueueError) -> [UInt8]? {
        guard let file = try directory.openIfThere(name, flags: O_RDONLY | O_NONBLOCK),
            try file.status().st_mode & S_IFMT == S_IFREG
        else { return nil }
        return try file.read(Int(SegmentHeader.firstRecord), at: 0)
    }

    /// The outer nil: no file of mail.
    private static func key(_ start: [UInt8]?) -> KeyID?? {
        guard let start else { return nil }
        if let header = SegmentHeader.read(start) {
            return .some(header.flags.contains(.sealed) ? KeyID(rawValue: header.keyID) : nil)
        }
        return JournalFormat.Header(start).map(\.keyID)
    }
}
