// Owns: the queue as a reader sees it, with its runner at work or not: lists, states, content. Refuses: changing
// anything, keeping the runner or a writer waiting.

import Glibc
import MailModel

/// A message as `mail-queue` shows it.
public struct MessageSummary: Sendable {
    public enum State: String, Hashable, Sendable {
        /// In `offline/`; the runner will pick it up.
        case submitted
        /// Not tried yet.
        case queued
        case deferred
        case held
    }

    public struct RecipientSummary: Sendable {
        public var number: Int
        public var recipient: Recipient
        public var status: DeliveryStatus
        /// Oldest first.
        public var attempts: [Attempt]
    }

    public var envelope: Envelope
    /// Octets of content.
    public var size: Int64
    public var state: State
    /// The envelope's recipients, then those that aliases expanded to.
    public var recipients: [RecipientSummary]
    public var nextAttempt: Timestamp?
    public var heldReason: String?
    /// File and offset, for an operator who looks for it.
    public var place: String

    public var id: QueueID { envelope.id }
    public var attemptCount: Int { recipients.map(\.attempts.count).max() ?? 0 }
    /// The newest attempt at any recipient.
    public var lastAttempt: Attempt? { recipients.compactMap(\.attempts.last).max { $0.time < $1.time } }
}

/// What a look at the spool finds. Messages that end while it looks may be missing or still there.
public struct QueueSnapshot {
    /// By queue ID, which is by age.
    public private(set) var messages: [MessageSummary] = []
    /// Files that could not be read: shown, not hidden.
    public private(set) var problems: [QueueError] = []
    /// Sealed mail without the key that opens it. Counted whatever prefix was asked for.
    public private(set) var hidden = HiddenMail()
    private var places: [QueueID: (SegmentReader, StoredMessage)] = [:]
    private var generations: [QueueID: UInt32] = [:]
    private let syscalls: any Syscalls
    private let wanted: ClosedRange<QueueID>?
    private let keys: KeyRing?

    /// - Parameter prefix: only messages whose queue ID begins with it.
    /// - Parameter keys: what opens sealed segments; without them sealed mail is counted, not shown.
    /// - Throws: QueueError when the spool is missing, newer, or its folders can't be listed.
    public init(
        _ layout: SpoolLayout, prefix: String? = nil, keys: KeyRing? = nil, syscalls: any Syscalls = LibC()
    ) throws(QueueError) {
        _ = try SpoolMeta.read(layout, syscalls: syscalls)
        (self.keys, self.syscalls) = (keys, syscalls)
        wanted = prefix.flatMap(QueueID.range(ofPrefix:))
        guard prefix == nil || wanted != nil else { return }
        let queue = try Directory(layout.path(.queue), syscalls: syscalls)
        let incoming = try Directory(layout.path(.incoming), syscalls: syscalls)
        let offline = try Directory(layout.path(.offline), syscalls: syscalls)
        // Drops first: one that is picked up meanwhile is then seen in its new place, never in none.
        let drops = try offline.names().filter { $0.hasSuffix(OfflinePickup.suffix) }
        for name in drops { readDrop(name, offline) }
        for directory in [incoming, queue] {
            let names = try directory.names().compactMap(SegmentName.init(file:))
            for name in names { read(name, directory, journals: queue) }
        }
        messages.sort { $0.id < $1.id }
    }

    /// The content of a message of this snapshot; nil when there is none.
    public func content(of id: QueueID) -> MessageContent? {
        places[id].map { reader, message in reader.content(of: message) }
    }

    private mutating func read(_ name: SegmentName, _ directory: Directory, journals: Directory) {
        do throws(QueueError) {
            // Whoever owns the listener's folder may put a FIFO there: no reader waits for its other end.
            guard let file = try directory.openIfThere(name.description, flags: O_RDONLY | O_NONBLOCK),
                try file.status().st_mode & S_IFMT == S_IFREG, try file.size() > 0
            else { return }
            guard let reader = try reader(file, in: directory.path == journals.path ? .queue : .incoming) else {
                return
            }
            let journal = try journal(of: name, reader.header, journals)
            var entries: [Int64: [JournalEntry]] = [:]
            var index: [IndexRow]?
            for entry in journal?.entries ?? [] {
                if case .index(let rows) = entry { index = rows }
                if let message = entry.message { entries[message, default: []].append(entry) }
            }
            for message in try stored(reader, index: index) { add(message, reader, entries[message.offset] ?? []) }
        } catch {
            problems.append(error)
        }
    }

    /// The marks that the runner would believe; what is wrong with others `check` tells.
    private func journal(
        of name: SegmentName, _ header: SegmentHeader, _ journals: Directory
    ) throws(QueueError) -> JournalFormat.Contents? {
        do throws(QueueError) {
            let found = try JournalWriter.read(name.journal, in: journals, keys: keys) ?? nil
            return found.flatMap { $0.header.speaks(for: header.stamp, sealedFor: header.sealedFor) ? $0 : nil }
        } catch {
            // The segment was opened: its journal would be sealed for the same key.
            guard case .unknownKey = error.kind, header.sealedFor != nil else { throw error }
            return nil
        }
    }

    /// Nil for what is sealed for a key that is not here: counted, not read.
    private mutating func reader(
        _ file: OpenFile, in place: SpoolLayout.Place
    ) throws(QueueError) -> SegmentReader? {
        do throws(QueueError) {
            return try SegmentReader(file, in: place, keys: keys)
        } catch {
            guard case .unknownKey = error.kind else { throw error }
            let header = try SegmentReader.header(of: file).0
            hidden.add(try SegmentOutline(file, header, limit: try limit(file)), header)
            return nil
        }
    }

    /// How far a file counts: up to the committed offset of a living writer, else to its end.
    private func limit(_ file: OpenFile) throws(QueueError) -> Int64 {
        guard try file.trySharedLock() else {
            let hint = try file.read(16, at: Int64(SegmentHeader.hintOffset))
            return SegmentHeader.readHint(hint[...]) ?? SegmentHeader.firstRecord
        }
        try file.unlock()
        return try file.size()
    }

    /// With an index the messages it names; else what a scan finds: up to the committed offset of a living writer.
    private func stored(_ reader: SegmentReader, index: [IndexRow]?) throws(QueueError) -> [StoredMessage] {
        if let index {
            var found: [StoredMessage] = []
            for row in index where wanted?.contains(row.id) ?? true {
                if let message = try reader.message(at: row.offset) { found.append(message) }
            }
            return found
        }
        let limit = try limit(reader.file)
        return try reader.scan(from: SegmentHeader.firstRecord, limit: limit, verifyingContent: false).messages
    }

    private mutating func readDrop(_ name: String, _ directory: Directory) {
        do throws(QueueError) {
            guard let file = try directory.openIfThere(name, flags: O_RDONLY | O_NONBLOCK),
                try file.status().st_mode & S_IFMT == S_IFREG
            else { return }
            guard let reader = try reader(file, in: .offline) else { return }
            guard let message = try reader.message(at: SegmentHeader.firstRecord) else { return }
            add(message, reader, [], state: .submitted)
        } catch {
            // Not a drop, or being written: the runner judges it.
            guard error.kind != .corrupt && error.cause != .tooManySymbolicLinkLevels else { return }
            problems.append(error)
        }
    }

    private mutating func add(
        _ message: StoredMessage, _ reader: SegmentReader, _ entries: [JournalEntry],
        state known: MessageSummary.State? = nil
    ) {
        guard wanted?.contains(message.id) ?? true else { return }
        let envelope = message.envelope
        var state = MessageState(recipientCount: envelope.recipients.count, held: envelope.held)
        let isRunners = reader.header.role == .runner
        for entry in (isRunners ? message.stored.carried : []) + entries { state.apply(entry) }
        guard !state.isFinal, !state.isRemovalAsked else { return }
        let generation = max(state.generation, isRunners ? message.stored.generation : 0)
        if let known = generations[message.id] {
            // While a message moves, or after a crash, there are two copies.
            guard generation >= known else { return }
            messages.removeAll { $0.id == message.id }
        }
        generations[message.id] = generation
        places[message.id] = (reader, message)
        let recipients = (envelope.recipients + state.expansions).enumerated().map { number, recipient in
            MessageSummary.RecipientSummary(
                number: number, recipient: recipient, status: state.statuses[number],
                attempts: state.attempts.filter { $0.recipient == number }.map(\.attempt))
        }
        messages.append(
            MessageSummary(
                envelope: envelope, size: message.contentLength, state: known ?? Self.state(state),
                recipients: recipients, nextAttempt: state.nextAttempt, heldReason: state.held,
                place: "\(reader.file.path):\(message.offset)"))
    }

    private static func state(_ state: MessageState) -> MessageSummary.State {
        if state.held != nil { return .held }
        return state.attempts.isEmpty ? .queued : .deferred
    }
}
