// Owns: copying one examined drop into the runner's segment and removing it. Refuses: judging it (OfflinePickup).

import MailModel

/// Runs on the pickup thread.
struct DropCopy: @unchecked Sendable {
    // Sendable by proof: made on the runner's thread, then used by one job of the pickup thread only.
    let name: String
    let reader: SegmentReader
    let message: StoredMessage
    let stored: StoredEnvelope

    enum End: Sendable {
        /// Nothing was stored; the drop is where it was.
        case failed(QueueError)
        /// The copy is durable, but the drop may still be there, or come back.
        case stored(QueueError)
        /// The copy is durable, and the drop is gone for good.
        case gone
    }

    /// - Parameter done: told from another thread.
    func run(
        into intake: Intake, _ directory: Directory, _ housekeeper: Housekeeper,
        done: @escaping @Sendable (End) -> Void
    ) {
        let writable = Monitor(true)
        let copy = intake.begin(stored) { writable.update { $0 = true } }
        let content = reader.content(of: message)
        do throws(QueueError) {
            while let piece = try content.next() {
                writable.access { $0 = false }
                switch copy.append(piece) {
                case .more: continue
                case .pause: _ = writable.wait { $0 ? true : nil }
                case .failed(let error): throw error
                }
            }
        } catch {
            copy.abort()
            return done(.failed(error))
        }
        copy.commitPlaced { [name] result in
            switch result {
            case .failure(let error): done(.failed(error))
            case .success: Self.remove(name, directory, housekeeper, done: done)
            }
        }
    }

    /// Removes a drop whose copy is durable, and makes that durable: before, nobody may try the copy, or a crash could
    /// bring back the drop of a message that was delivered.
    static func remove(
        _ name: String, _ directory: Directory, _ housekeeper: Housekeeper, done: @escaping @Sendable (End) -> Void
    ) {
        do throws(QueueError) {
            try directory.unlink(name)
        } catch {
            // A directory: its owner took the drop away and put this there.
            guard error.cause == .isDirectory else { return done(.stored(error)) }
        }
        housekeeper.mark(directory)
        housekeeper.barrier { error in done(error.map(End.stored) ?? .gone) }
    }
}
