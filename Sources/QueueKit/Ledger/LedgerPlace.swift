// Owns: where the ledger lies, and which segments lie on the spool when it is asked. Refuses: reading the ledger.

import Glibc
import MailModel

/// The path of the ledger: on the spool, or (`queue ledger`) elsewhere, so that whoever rolls the whole spool back is
/// noticed.
public struct LedgerPlace: Hashable, Sendable {
    public static let name = "ledger"

    /// Absolute.
    public let path: String

    /// - Parameter path: nil for `<spool>/ledger`.
    public init(_ layout: SpoolLayout, path: String? = nil) { self.path = path ?? "\(layout.root)/\(Self.name)" }

    var folder: String {
        let parts = path.split(separator: "/").dropLast()
        return "/" + parts.joined(separator: "/")
    }
    var file: String { path.split(separator: "/").last.map(String.init) ?? Self.name }
}

/// What lies in `queue/` and `incoming/`.
struct SegmentsPresent {
    struct Segment {
        var name: SegmentName
        var place: SpoolLayout.Place
        var directory: Directory
    }

    private(set) var segments: [Segment] = []
    private(set) var names: Set<SegmentName> = []
    private let journals: [String]
    private let queue: Directory

    init(_ layout: SpoolLayout, syscalls: any Syscalls) throws(QueueError) {
        queue = try Directory(layout.path(.queue), syscalls: syscalls)
        let incoming = try Directory(layout.path(.incoming), syscalls: syscalls)
        let inQueue = try queue.names()
        journals = inQueue.filter { SegmentName(journal: $0) != nil }
        let incomingNames = try incoming.names()
        for (directory, place, files) in [
            (queue, SpoolLayout.Place.queue, inQueue), (incoming, .incoming, incomingNames),
        ] {
            for name in files.compactMap(SegmentName.init(file:)) {
                segments.append(Segment(name: name, place: place, directory: directory))
                names.insert(name)
            }
        }
    }

    /// The header of a segment; nil when it is gone, or has none that reads.
    static func header(_ segment: Segment) throws(QueueError) -> SegmentHeader? {
        try start(segment.name.description, segment.directory).flatMap(SegmentHeader.read)
    }

    /// Whether a segment or a journal says that the queue was sealed before. What can't be read says nothing.
    var hasSealed: Bool {
        segments.contains { (try? Self.header($0))??.flags.contains(.sealed) ?? false }
            || journals.contains { Self.isSealedJournal((try? Self.start($0, queue)) ?? nil) }
    }

    private static func isSealedJournal(_ start: [UInt8]?) -> Bool {
        guard let start, start.starts(with: JournalFormat.magic), let flags: UInt16 = start.integer(at: 10) else {
            return false
        }
        return flags & 1 == 1
    }

    /// Whoever owns the listener's folder may put anything there: no symbolic link is followed, no FIFO waited for.
    private static func start(_ name: String, _ directory: Directory) throws(QueueError) -> [UInt8]? {
        guard let file = try directory.openIfThere(name, flags: O_RDONLY | O_NONBLOCK),
            try file.status().st_mode & S_IFMT == S_IFREG
        else { return nil }
        return try file.read(Int(SegmentHeader.firstRecord), at: 0)
    }
}
