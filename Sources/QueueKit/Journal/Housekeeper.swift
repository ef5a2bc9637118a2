// Owns: the thread that syncs journals and directories and frees segments, in that order. Refuses: deciding that a
// segment may go.
//
// In each round: sync the journals with unsynced marks; sync the directories with changed names; only then free the
// segments handed over before the round began (renamed or unlinked, directory synced), and only then remove their
// journals. So no segment goes before every mark written earlier is durable, and none while the drop it was copied
// from could come back.

import MailModel

final class Housekeeper: Sendable {
    struct Retirement: Sendable {
        var store: any SegmentStore
        var segment: SegmentName
        var hasJournal: Bool
    }

    private struct State {
        var journals: [String: (file: OpenFile, frames: UInt64)] = [:]
        var directories: [String: Directory] = [:]
        var retirements: [Retirement] = []
        var barriers: [@Sendable (QueueError?) -> Void] = []
        var stopping = false
        var isEmpty: Bool {
            journals.isEmpty && directories.isEmpty && retirements.isEmpty && barriers.isEmpty
        }
    }

    private let state = Monitor(State())
    private let journalDirectory: Directory
    private let tell: @Sendable (Event) -> Void

    enum Event: Sendable {
        /// The journal's frames below this number are durable.
        case synced(journal: String, frames: UInt64)
        /// With the journal's name when its sync failed.
        case failed(journal: String?, QueueError)
        case retired(SegmentName, QueueError?)
    }

    init(journals: Directory, tell: @escaping @Sendable (Event) -> Void) {
        (journalDirectory, self.tell) = (journals, tell)
    }

    func start() throws(QueueError) -> Thread {
        try Thread("housekeeper") { [self] in
            while let round = next() { work(round) }
        }
    }

    func mark(_ journal: JournalWriter) throws(QueueError) {
        let file = try journal.file()
        let frames = journal.frames
        state.update { $0.journals[journal.name] = (file, frames) }
    }

    func mark(_ directory: Directory) { state.update { $0.directories[directory.path] = directory } }
    func retire(_ retirement: Retirement) { state.update { $0.retirements.append(retirement) } }

    /// Answers when all that was marked before is durable (or failed).
    func barrier(_ answer: @escaping @Sendable (QueueError?) -> Void) { state.update { $0.barriers.append(answer) } }
    func stop() { state.update { $0.stopping = true } }

    private func next() -> State? {
        let round: State?? = state.wait { state in
            guard state.isEmpty else {
                let taken = state
                state = State()
                state.stopping = taken.stopping
                return .some(taken)
            }
            return state.stopping ? .some(nil) : nil
        }
        return round ?? nil
    }

    private func work(_ round: State) {
        var failure: QueueError?
        for (name, journal) in round.journals {
            do throws(QueueError) {
                try journal.file.syncData()
                tell(.synced(journal: name, frames: journal.frames))
            } catch {
                failure = error
                tell(.failed(journal: name, error))
            }
        }
        for directory in round.directories.values {
            do throws(QueueError) {
                try directory.sync()
            } catch {
                failure = error
                tell(.failed(journal: nil, error))
            }
        }
        for barrier in round.barriers { barrier(failure) }
        for retirement in round.retirements {
            do throws(QueueError) {
                // With anything unsynced nothing is freed; the runner finds the segment again and tries once more.
                if let failure { throw failure }
                try retirement.store.retire(retirement.segment)
                if retirement.hasJournal { try journalDirectory.unlink(retirement.segment.journal) }
                tell(.retired(retirement.segment, nil))
            } catch {
                tell(.retired(retirement.segment, error))
            }
        }
    }
}
