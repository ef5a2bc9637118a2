// Owns: copying one examined drop into the runner's segment and removing it. Refuses: judging it (OfflinePickup).

import MailModel

/// Runs on the copying thread.
struct DropCopy: Sendable {
    let name: String
    let copy: MessageCopy

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
        copy.run(into: intake) { [name] result in
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
