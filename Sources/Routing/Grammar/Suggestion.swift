// Owns: guessing what a mistyped word was meant to be, and writing lists of words. Refuses: deciding; it only advises.

enum Suggestion {
    /// ` Did you mean "port"?` when one of the words is at most two changes away from `word`; else empty.
    static func text(for word: String, among words: [String]) -> String {
        // Longer words are nobody's typing error, and the comparison is quadratic.
        guard word.utf8.count <= 32 else { return "" }
        let allowed = word.utf8.count <= 3 ? 1 : 2
        let best = words.sorted().map { ($0, distance(word.lowercased(), $0.lowercased())) }.min { $0.1 < $1.1 }
        guard let best, best.1 <= allowed else { return "" }
        return " Did you mean \"\(best.0)\"?"
    }

    /// `a`, `a or b`, `a, b or c`.
    static func list(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }

    /// Single-character changes (insert, remove, replace) between two short words.
    private static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8.prefix(40)), Array(b.utf8.prefix(40)))
        var row = Array(0...b.count)
        for i in 0..<a.count {
            var diagonal = row[0]
            row[0] = i + 1
            for j in 0..<b.count {
                let replaced = diagonal + (a[i] == b[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
            }
        }
        return row[b.count]
    }
}
