// Owns: copying one examined drop into the runner's segment and removing it. Refuses: judging it (OfflinePickup).

import MailModel

/// Runs on the pickup thread.
struct DropCopy: @unchecked Sendable {
    // Sendable by proof: made on the runner's thread, then used by one job of the pickup thread only.
    let name: String
    let reader: SegmentReader
    let message: StoredMessage
    let stored: StoredEnvelope

    /// - Parameter done: told from another thread, after the drop's name is gone, or why it is not.
    func run(
        into intake: Intake, _ directory: Directory, _ housekeeper: Housekeeper,
        done: @escaping @Sendable (QueueError?) -> Void
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
            return done(error)
        }
        copy.commitPlaced { [name] result in
            switch result {
            case .failure(let error): done(error)
            case .success: done(Self.remove(name, directory, housekeeper))
            }
        }
    }

    private static func remove(
        _ name: String, _ directory: Directory, _ housekeeper: Housekeeper
    ) -> QueueError? {
        do throws(QueueError) {
            try directory.unlink(name)
            // Before the copy may be freed, the unlink must be durable: the housekeeper keeps that order.
            housekeeper.mark(directory)
            return nil
        } catch {
            return error
        }
    }
}
