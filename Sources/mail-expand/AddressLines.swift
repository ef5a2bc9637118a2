// Owns: addresses from standard input, one a line, as they come. Refuses: reading them as addresses.

import CommandKit
import Glibc
import SystemPackage

/// Lines of text without blanks around them; empty ones and comments (`#`) are passed over.
struct AddressLines {
    /// Octets of a line: no address is longer.
    static let lineLimit = 1000

    struct Line {
        var number: Int
        /// nil when the line is longer than any address, or no text.
        var text: String?
    }

    private var chunk = [UInt8](repeating: 0, count: 64 << 10)
    private var lines: ArraySlice<Line> = []
    private var rest: [UInt8] = []
    private var isOverlong = false
    private var number = 0
    private var isAtEnd = false

    /// - Parameter idle: called before waiting for input: what is known so far should be shown.
    mutating func next(idle: () throws -> Void) throws -> Line? {
        while true {
            if let line = lines.popFirst() { return line }
            guard !isAtEnd else { return nil }
            try idle()
            try fill()
        }
    }

    private mutating func fill() throws(CommandFailure) {
        let count = Glibc.read(STDIN_FILENO, &chunk, chunk.count)
        guard count >= 0 else {
            let cause = Errno(rawValue: errno)
            if cause == .interrupted { return }
            throw CommandFailure(.noInput, "read addresses from standard input", cause)
        }
        guard count > 0 else {
            isAtEnd = true
            if !rest.isEmpty || isOverlong { end() }
            return
        }
        var found = chunk[..<count]
        while let end = found.firstIndex(of: UInt8(ascii: "\n")) {
            take(found[..<end])
            self.end()
            found = found[(end + 1)...]
        }
        take(found)
    }

    private mutating func take(_ bytes: ArraySlice<UInt8>) {
        guard !isOverlong, rest.count + bytes.count <= Self.lineLimit else {
            (rest, isOverlong) = ([], true)
            return
        }
        rest += bytes
    }

    private mutating func end() {
        number += 1
        let blanks: Set<UInt8> = [9, 13, 32]
        let line = rest.drop { blanks.contains($0) }
        let end = line.lastIndex { !blanks.contains($0) }.map { $0 + 1 } ?? line.startIndex
        let isEmpty = line.isEmpty || line.first == UInt8(ascii: "#")
        let text = isOverlong ? nil : String(validating: line[..<end], as: UTF8.self)
        if isOverlong || !isEmpty { lines.append(Line(number: number, text: text)) }
        (rest, isOverlong) = ([], false)
    }
}
