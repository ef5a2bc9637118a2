// Owns: queue IDs from standard input. Refuses: whether such messages exist.

import CommandKit
import Glibc
import MailModel
import QueueKit
import SystemPackage

enum StandardInputIDs {
    /// Octets: room for more than a million queue IDs.
    private static let limit = 32 << 20

    /// One a line; blanks around it and empty lines are ignored.
    ///
    /// - Throws: 65 for a line that no queue ID can begin with, before anything is changed.
    static func read() throws(CommandFailure) -> [String] {
        var ids: [String] = []
        for (index, line) in try lines().enumerated() {
            let text = String(decoding: line.filter { $0 != 32 && $0 != 9 && $0 != 13 }, as: UTF8.self)
            guard !text.isEmpty else { continue }
            guard QueueID.range(ofPrefix: text) != nil else {
                throw CommandFailure(
                    .dataError,
                    "line \(index + 1) of standard input is no queue ID: \"\(text.prefix(60))\". Nothing was changed.")
            }
            ids.append(text)
        }
        return ids
    }

    private static func lines() throws(CommandFailure) -> [ArraySlice<UInt8>] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(STDIN_FILENO, &chunk, chunk.count)
            if count == 0 { return bytes.split(separator: 10, omittingEmptySubsequences: false) }
            guard count > 0 else {
                let cause = Errno(rawValue: errno)
                if cause == .interrupted { continue }
                throw CommandFailure(.noInput, "read queue IDs from standard input", cause)
            }
            bytes += chunk[..<count]
            guard bytes.count <= limit else {
                throw CommandFailure(
                    .dataError, "standard input is longer than \(limit >> 20) MiB. Give fewer queue IDs, or --all.")
            }
        }
    }
}
