// Owns: checking one segment with its journal, every record of it. Refuses: what other files there are.

import Glibc
import MailModel

extension SpoolCheck {
    /// More messages of one segment are told in one line.
    static let linesPerSegment = 20

    func segment(_ name: SegmentName, _ directory: Directory, _ place: SpoolLayout.Place) -> Look {
        let path = "\(directory.path)/\(name)"
        do throws(QueueError) {
            switch try files.open(name.description, in: directory) {
            case .gone: return Look()
            case .notRegular:
                var look = Look()
                look.add(.fault, .segment, path, "It is not a regular file. The runner moves it to quarantine.")
                return look
            case .file(let file, let status): return try segment(name, file, size: Int64(status.st_size), place)
            }
        } catch {
            return .failed(.segment, path, error)
        }
    }

    private func segment(
        _ name: SegmentName, _ file: OpenFile, size: Int64, _ place: SpoolLayout.Place
    ) throws(QueueError) -> Look {
        var look = Look()
        look.counts.segments = 1
        guard size > 0 else {
            look.add(.note, .leftover, file.path, "It is empty. The runner removes it.")
            return look
        }
        guard try files.canRead(file) else {
            look.counts.sealed = 1
            if try journalIsSealed(name) { look.counts.sealed += 1 }
            return look
        }
        let reader: SegmentReader
        do throws(QueueError) {
            reader = try files.segment(file, in: place)
        } catch {
            guard error.kind == .corrupt else { throw error }
            let why = error.explanation?.sentence ?? "\(error)"
            look.add(.fault, .segment, file.path, "\(why) The runner moves it to quarantine.")
            return look
        }
        guard reader.header.flags.contains(.single) || size <= Spares.segmentSize * 4 else {
            look.add(
                .fault, .segment, file.path,
                "It is larger than a segment of many messages ever is. The runner moves it to quarantine.")
            return look
        }
        let journal = journal(of: name, reader.header, &look)
        try records(reader, size: size, SegmentMarks(journal, place), &look)
        return look
    }

    private func journalIsSealed(_ name: SegmentName) throws(QueueError) -> Bool {
        guard case .file(let file, _) = try files.open(name.journal, in: files.queue) else { return false }
        return try files.isSealed(file)
    }

    // MARK: Records

    private func records(
        _ reader: SegmentReader, size: Int64, _ marks: SegmentMarks, _ look: inout Look
    ) throws(QueueError) {
        let isDead = try files.isDead(reader.file)
        let committed = try reader.committedOffset() ?? 0
        let limit = isDead ? size : min(committed, size)
        // What lies below the offset of a living writer was made durable.
        let durable = isDead ? max(reader.hint, committed) : limit
        let scan = try reader.scan(
            from: SegmentHeader.firstRecord, limit: limit, verifyingContent: true, durable: durable)
        for message in scan.messages {
            let state = marks.state(message)
            guard !state.isFinal else { continue }
            look.messages.append(
                .init(
                    id: message.id, generation: marks.generation(message, state), octets: message.contentLength))
        }
        damage(scan, reader.file.path, marks, &look)
        if isDead, max(reader.hint, committed) > size {
            look.add(
                marks.rows == nil ? .fault : .note, .segment, reader.file.path,
                "It ends before what its writer had made durable: messages are missing.")
        }
    }

    private func damage(_ scan: SegmentScan, _ path: String, _ marks: SegmentMarks, _ look: inout Look) {
        var lost: [(offset: Int64, id: QueueID?)] = []
        for damage in scan.damage {
            let start = damage.range.lowerBound
            if let row = marks.rows?[start] {
                if marks.isFinal(row) { note(start, row.id, path, &look) } else { lost.append((start, row.id)) }
            } else if marks.rows != nil || marks.isSettled(start) {
                note(start, damage.id, path, &look)
            } else {
                lost.append((start, damage.id))
            }
        }
        // Known from the index, and not even found as damage.
        let found = Set(scan.messages.map(\.offset) + scan.damage.map(\.range.lowerBound))
        for (offset, row) in marks.rows ?? [:] where !found.contains(offset) && !marks.isFinal(row) {
            lost.append((offset, row.id))
        }
        lost.sort { $0.offset < $1.offset }
        for (offset, id) in lost.prefix(Self.linesPerSegment) {
            let what = id.map { "Message \($0)" } ?? "A message"
            look.add(
                .fault, .message, path,
                "\(what) at \(offset) is damaged. The runner moves it to quarantine when it comes to it.", message: id)
        }
        if lost.count > Self.linesPerSegment {
            look.add(
                .fault, .message, path, "\(lost.count - Self.linesPerSegment) more messages are damaged in it.")
        }
    }

    private func note(_ offset: Int64, _ id: QueueID?, _ path: String, _ look: inout Look) {
        let what = id.map { "Message \($0)" } ?? "A message"
        look.add(
            .note, .message, path,
            "\(what) at \(offset) is damaged, and is not in the queue any more: it was done with, or is in quarantine.",
            message: id)
    }

    // MARK: Journals

    /// The journal of a segment, told when it is not as it must be.
    private func journal(
        of name: SegmentName, _ header: SegmentHeader, _ look: inout Look
    ) -> JournalFormat.Contents? {
        let path = "\(files.queue.path)/\(name.journal)"
        do throws(QueueError) {
            guard let found = try files.journal(name.journal) else { return nil }
            look.counts.journals += 1
            guard let contents = found,
                contents.header.speaks(for: header.stamp, sealedFor: header.sealedFor)
            else {
                let isUnwritten = try JournalWriter.isUnwritten(name.journal, in: files.queue)
                look.add(
                    isUnwritten ? .note : .fault, .journal, path,
                    isUnwritten
                        ? "It never said anything. The runner removes it."
                        : "It is no journal of its segment, or it is not sealed as its segment is: its marks are lost, and "
                            + "its messages may be delivered again.")
                return nil
            }
            if contents.isInterrupted {
                look.add(
                    .fault, .journal, path,
                    "It is damaged in its middle: later marks are lost, and messages may be delivered again.")
            } else if try isTorn(name.journal, from: contents.end) {
                look.add(
                    .note, .journal, path,
                    "Its last mark is not whole, as a crash leaves it: what it said will be done again.")
            }
            return contents
        } catch {
            look.findings += Look.failed(.journal, path, error).findings
            return nil
        }
    }

    /// Whether anything but reserved room lies behind the last whole frame.
    private func isTorn(_ name: String, from end: Int64) throws(QueueError) -> Bool {
        guard case .file(let file, _) = try files.open(name, in: files.queue) else { return false }
        return try !file.read(JournalFormat.frameHeaderLength, at: end).allSatisfy { $0 == 0 }
    }

    /// A journal that `segment` does not come to.
    func lonelyJournal(_ name: SegmentName) -> Look {
        do throws(QueueError) {
            for directory in [files.queue, files.incoming]
            where try directory.status(of: name.description) != nil { return Look() }
            guard case .file(let file, _) = try files.open(name.journal, in: files.queue) else { return Look() }
            var look = Look()
            look.counts.journals = 1
            look.add(
                .note, .leftover, file.path,
                "Its segment is gone, as a crash leaves it after the last message was done with. The runner removes it."
            )
            return look
        } catch {
            return .failed(.journal, "\(files.queue.path)/\(name.journal)", error)
        }
    }
}

/// What a journal says of a segment's messages.
private struct SegmentMarks {
    /// By offset; nil when the segment was not closed, or its journal can't be read.
    private(set) var rows: [Int64: IndexRow]?
    private let isRunners: Bool
    private var entries: [Int64: [JournalEntry]] = [:]
    /// What messages brought along that were moved here.
    private var carried: [Int64: [JournalEntry]] = [:]

    init(_ journal: JournalFormat.Contents?, _ place: SpoolLayout.Place) {
        isRunners = place == .queue
        for entry in journal?.entries ?? [] {
            if case .index(let index) = entry {
                rows = Dictionary(index.map { ($0.offset, $0) }) { _, last in last }
            }
            if case .carried(let message, let first) = entry { carried[message] = first }
            if let message = entry.message { entries[message, default: []].append(entry) }
        }
    }

    func state(_ message: StoredMessage) -> MessageState {
        let envelope = message.envelope
        return state(
            message.offset, recipients: envelope.recipients.count, held: envelope.held,
            isRunners ? message.stored.carried : [])
    }

    /// Only the runner raises generations.
    func generation(_ message: StoredMessage, _ state: MessageState) -> UInt32 {
        max(state.generation, isRunners ? message.stored.generation : 0)
    }

    func isFinal(_ row: IndexRow) -> Bool {
        // The number stands in the spool: no more room than so many recipients could need is taken.
        let recipients = min(Int(row.recipientCount), 1 << 20)
        return state(row.offset, recipients: recipients, held: row.held, carried[row.offset] ?? []).isFinal
    }

    private func state(_ offset: Int64, recipients: Int, held: Bool, _ before: [JournalEntry]) -> MessageState {
        var state = MessageState(recipientCount: recipients, held: held)
        for entry in before + (entries[offset] ?? []) { state.apply(entry) }
        return state
    }

    /// Whether a message that can't be read any more was taken out of the queue.
    func isSettled(_ offset: Int64) -> Bool {
        entries[offset]?.contains { entry in
            switch entry {
            case .removed, .quarantined, .moved: true
            case .index, .attempt, .scheduled, .expanded, .held, .released, .removing, .warned, .generation, .carried:
                false
            }
        } ?? false
    }
}
