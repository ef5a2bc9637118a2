// Owns: the thread that syncs journals and directories and frees segments, in that order. Refuses: deciding that a
// segment may go.
//
// In each round: sync the journals with unsynced marks; sync the directories with changed names; only then free the
// segments handed over before the round began (renamed or unlinked, directory synced), and only then remove their
// journals. So no segment goes before every mark written earlier is durable, and none while the drop it was copied
// from could come back.
//
// A journal whose sync failed is never synced again: until another one replaced it, no barrier succeeds and no segment
// goes. In a sealed queue the ledger learns before the first file of a round goes that it will, and after each that it
// went, before its journal does. A directory whose sync failed is synced again in the next round.

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
        /// Journals whose sync failed, until they are replaced.
        var broken: [String: QueueError] = [:]
        /// Directories whose sync failed; the next round begins with them.
        var owed: [String: (directory: Directory, error: QueueError)] = [:]
        var ledgerWaits = false
        var stopping = false
        var isEmpty: Bool {
            journals.isEmpty && directories.isEmpty && retirements.isEmpty && barriers.isEmpty && !ledgerWaits
        }
    }

    private let state = Monitor(State())
    private let journalDirectory: Directory
    private let ledger: Ledger?
    private let tell: @Sendable (Event) -> Void

    enum Event: Sendable {
        /// The journal's frames below this number are durable.
        case synced(journal: String, frames: UInt64)
        /// With the journal's name when its sync failed.
        case failed(journal: String?, QueueError)
        case retired(SegmentName, QueueError?)
    }

    init(journals: Directory, ledger: Ledger?, tell: @escaping @Sendable (Event) -> Void) {
        (journalDirectory, self.ledger, self.tell) = (journals, ledger, tell)
    }

    func start() throws(QueueError) -> Thread {
        try Thread("housekeeper") { [self] in
            while let round = next() { work(round) }
        }
    }

    func mark(journal name: String, _ file: OpenFile, frames: UInt64) {
        state.update { $0.journals[name] = (file, frames) }
    }

    /// Another file has the journal's name now, and is durable.
    func replaced(_ journal: String) {
        state.update {
            $0.broken[journal] = nil
            $0.journals[journal] = nil
        }
    }

    func mark(_ directory: Directory) { state.update { $0.directories[directory.path] = directory } }
    /// The ledger remembers something that is not on disk yet.
    func markLedger() { state.update { $0.ledgerWaits = true } }
    func retire(_ retirement: Retirement) { state.update { $0.retirements.append(retirement) } }

    /// Answers when all that was marked before is durable (or failed).
    func barrier(_ answer: @escaping @Sendable (QueueError?) -> Void) { state.update { $0.barriers.append(answer) } }
    func stop() { state.update { $0.stopping = true } }

    private func next() -> State? {
        let round: State?? = state.wait { state in
            guard state.isEmpty else {
                var taken = state
                taken.directories.merge(state.owed.mapValues(\.directory)) { new, _ in new }
                state = State()
                (state.stopping, state.broken) = (taken.stopping, taken.broken)
                return .some(taken)
            }
            return state.stopping ? .some(nil) : nil
        }
        return round ?? nil
    }

    private func work(_ round: State) {
        for (name, journal) in round.journals where round.broken[name] == nil { sync(name, journal) }
        for directory in round.directories.values { sync(directory) }
        let failure = state.access { $0.broken.values.first ?? $0.owed.values.first?.error }
        for barrier in round.barriers { barrier(failure) }
        let ledgerFailure = syncLedger(round)
        for retirement in round.retirements {
            do throws(QueueError) {
                // With anything unsynced nothing is freed; the runner hands the segment over once more.
                if let failure = failure ?? ledgerFailure { throw failure }
                try free(retirement)
                tell(.retired(retirement.segment, nil))
            } catch {
                tell(.retired(retirement.segment, error))
            }
        }
    }

    /// No segment goes before the ledger knows that it will.
    private func syncLedger(_ round: State) -> QueueError? {
        guard let ledger else { return nil }
        ledger.retiring(round.retirements.lazy.map(\.segment))
        do throws(QueueError) {
            try ledger.sync()
            return nil
        } catch {
            tell(.failed(journal: nil, error))
            return error
        }
    }

    private func sync(_ name: String, _ journal: (file: OpenFile, frames: UInt64)) {
        do throws(QueueError) {
            try journal.file.syncData()
            tell(.synced(journal: name, frames: journal.frames))
        } catch {
            state.access { $0.broken[name] = error }
            tell(.failed(journal: name, error))
        }
    }

    private func sync(_ directory: Directory) {
        do throws(QueueError) {
            try directory.sync()
        } catch {
            state.access { $0.owed[directory.path] = (directory, error) }
            tell(.failed(journal: nil, error))
        }
    }

    private func free(_ retirement: Retirement) throws(QueueError) {
        try retirement.store.retire(retirement.segment) { () throws(QueueError) in
            try ledger?.retired(retirement.segment)
            if retirement.hasJournal { try journalDirectory.unlink(retirement.segment.journal) }
        }
    }
}
