// Owns: moving aside what is damaged or refused, each with its reason. Refuses: deleting anything.

import Glibc
import MailModel

/// `quarantine/`: NAME holds the bytes, NAME.reason the sentence.
struct Quarantine {
    let directory: Directory
    let clock: any TimeSource

    /// Moves a whole file here.
    func take(_ name: String, from source: Directory, reason: String) throws(QueueError) {
        let kept = Self.name(name, clock)
        try explain(kept, reason)
        do throws(QueueError) {
            try source.rename(name, to: directory, kept)
        } catch {
            // No reason lies here without its file either.
            try? directory.unlink("\(kept).reason")
            throw error
        }
        try directory.sync()
        try source.sync()
    }

    /// Copies a part of a segment here, at its own offset behind the segment's headers: a sealed record can be opened
    /// only by what stands in those, and only at its place.
    func copy(message range: Range<Int64>, of file: OpenFile, as name: String, reason: String) throws(QueueError) {
        try copy([0..<SegmentHeader.firstRecord, range], of: file, as: name, reason: reason)
    }

    /// Copies a whole file here.
    func copy(_ file: OpenFile, as name: String, reason: String) throws(QueueError) {
        try copy([0..<(try file.size())], of: file, as: name, reason: reason)
    }

    private func copy(
        _ ranges: [Range<Int64>], of file: OpenFile, as name: String, reason: String
    ) throws(QueueError) {
        let kept = Self.name(name, clock)
        try explain(kept, reason)
        let unnamed = try directory.openUnnamed(mode: SpoolLayout.fileMode, token: kept)
        do throws(QueueError) {
            try unnamed.file.setMode(SpoolLayout.fileMode)
            for range in ranges { try copy(range, of: file, to: unnamed.file) }
            try unnamed.file.sync()
            try directory.link(unnamed, as: kept)
        } catch {
            directory.discard(unnamed)
            try? directory.unlink("\(kept).reason")
            throw error
        }
        try directory.sync()
    }

    private func copy(_ range: Range<Int64>, of file: OpenFile, to copy: OpenFile) throws(QueueError) {
        let piece = Int64(1) << 20
        var position = range.lowerBound
        while position < range.upperBound {
            let bytes = try file.read(Int(min(piece, range.upperBound - position)), at: position)
            // The file may end before the range does.
            if bytes.isEmpty { break }
            try copy.write(bytes, at: position)
            position += Int64(bytes.count)
        }
    }

    /// Unique, and short and plain enough to be a name, whatever a stranger called the file.
    private static func name(_ original: String, _ clock: any TimeSource) -> String {
        let plain = original.utf8.prefix(100).map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                byte
            default: UInt8(ascii: "_")
            }
        }
        return "\(QueueID.make(clock)).\(String(decoding: plain, as: UTF8.self))"
    }

    /// Written first: no file lies here without its reason.
    private func explain(_ name: String, _ reason: String) throws(QueueError) {
        let file = try directory.open(
            "\(name).reason", flags: O_WRONLY | O_CREAT | O_EXCL, mode: SpoolLayout.fileMode)
        try file.setMode(SpoolLayout.fileMode)
        try file.write(Array("\(reason)\n".utf8), at: 0)
        try file.sync()
    }
}
