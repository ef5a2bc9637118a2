// Owns: copying one stored message into an intake, piece by piece. Refuses: knowing why it is copied (DropCopy, moves).

/// A message on its way from one segment into another. Runs on the copying thread.
struct MessageCopy: @unchecked Sendable {
    // Sendable by proof: made on the runner's thread, then used by one job of the copying thread only.
    let reader: SegmentReader
    let message: StoredMessage
    /// As the copy is to say it.
    let stored: StoredEnvelope

    /// - Parameter done: told from another thread once the copy is durable, or why there is none.
    func run(into intake: Intake, done: @escaping GroupCommit.Answer) {
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
            return done(.failure(error))
        }
        copy.commitPlaced(done)
    }
}
