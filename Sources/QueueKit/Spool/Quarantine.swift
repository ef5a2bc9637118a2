// Owns: moving aside what is damaged or refused, each with its reason. Refuses: deleting anything.

import Glibc
import MailModel

/// `quarantine/`: NAME holds the bytes, NAME.reason the sentence.
struct Quarantine {
    let directory: Directory
    let clock: any TimeSource

    /// Moves a whole file here.
    func take(_ name: String, from source: Directory, reason: String) throws(QueueError) {
        let kept = "\(QueueID.make(clock)).\(name)"
        try explain(kept, reason)
        try source.rename(name, to: directory, kept)
        try directory.sync()
        try source.sync()
    }

    /// Copies a part of a file here.
    func copy(_ range: Range<Int64>, of file: OpenFile, as name: String, reason: String) throws(QueueError) {
        let kept = "\(QueueID.make(clock)).\(name)"
        try explain(kept, reason)
        let unnamed = try directory.openUnnamed(mode: SpoolLayout.fileMode, token: kept)
        try unnamed.file.setMode(SpoolLayout.fileMode)
        let piece = Int64(1) << 20
        for start in stride(from: range.lowerBound, to: range.upperBound, by: Int(piece)) {
            let bytes = try file.read(Int(min(piece, range.upperBound - start)), at: start)
            try unnamed.file.write(bytes, at: start - range.lowerBound)
        }
        try unnamed.file.sync()
        try directory.link(unnamed, as: kept)
        try directory.sync()
    }

    /// Written first: no file lies here without its reason.
    private func explain(_ name: String, _ reason: String) throws(QueueError) {
        let file = try directory.open(
            "\(name).reason", flags: O_WRONLY | O_CREAT | O_EXCL, mode: SpoolLayout.fileMode)
        try file.write(Array("\(reason)\n".utf8), at: 0)
        try file.sync()
    }
}
