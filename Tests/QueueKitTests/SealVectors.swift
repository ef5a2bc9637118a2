// The published vectors, read from Vectors/*.txt: blocks of `name = value` lines.

import Glibc

@testable import QueueKit

struct VectorBlock: Sendable, CustomStringConvertible {
    /// The line of the file where it begins.
    let line: Int
    let values: [String: String]
    var description: String { "line \(line)" }

    subscript(name: String) -> [UInt8] {
        guard let value = values[name], let bytes = [UInt8](hexadecimal: value.utf8, count: value.utf8.count / 2) else {
            preconditionFailure("line \(line) of the vectors has no bytes \(name)")
        }
        return bytes
    }

    func secret(_ name: String) -> Secret { secretOf(self[name]) }

    func number(_ name: String) -> Int {
        guard let number = values[name].flatMap({ Int($0) }) else {
            preconditionFailure("line \(line) of the vectors has no number \(name)")
        }
        return number
    }

    static func read(_ name: String, file: String = #filePath) -> [VectorBlock] {
        let folder = file.split(separator: "/").dropLast().joined(separator: "/")
        guard let stream = fopen("/\(folder)/Vectors/\(name)", "r") else { preconditionFailure("no vectors \(name)") }
        defer { fclose(stream) }
        var (blocks, values, start, number): ([VectorBlock], [String: String], Int, Int) = ([], [:], 0, 0)
        var line = [CChar](repeating: 0, count: 8192)
        func end() {
            if !values.isEmpty { blocks.append(VectorBlock(line: start, values: values)) }
            values = [:]
        }
        while fgets(&line, Int32(line.count), stream) != nil {
            number += 1
            let text = String(
                decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if text.isEmpty { end() }
            if text.isEmpty || text.hasPrefix("#") { continue }
            let words = text.split(separator: " ", maxSplits: 2).map(String.init)
            if values.isEmpty { start = number }
            values[words[0]] = words.count > 2 ? words[2] : ""
        }
        end()
        return blocks
    }
}

func secretOf(_ bytes: [UInt8]) -> Secret {
    var copy = bytes
    return Secret(wiping: &copy)
}

extension Secret {
    var bytes: [UInt8] { withBytes { Array($0) } }
}
