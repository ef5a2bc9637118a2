// Owns: which `%{...}` a path may hold. Refuses: putting values in; the agent does, as the user.

/// `%{name}`, `%{name[a:b]}`, `%{name:modifier}` of smtpd.conf(5).
enum FormatString {
    static let names = [
        "sender", "sender.user", "sender.domain", "rcpt", "rcpt.user", "rcpt.domain", "dest", "dest.user",
        "dest.domain", "user.username", "user.directory", "mbox.from",
    ]
    static let modifiers = ["lowercase", "uppercase", "strip", "raw"]

    /// The first mistake as a sentence; nil when there is none.
    /// - Parameter more: names that may stand in this text besides.
    static func mistake(in text: String, besides more: [String] = []) -> String? {
        var rest = Substring(text)
        while let start = rest.firstIndex(of: "%") {
            rest = rest[rest.index(after: start)...]
            guard rest.first == "{" else { continue }
            guard let end = rest.firstIndex(of: "}") else { return "\"%{\" is never closed. Add \"}\"." }
            let inner = rest[rest.index(after: rest.startIndex)..<end]
            if let wrong = mistake(inSpecifier: inner, names + more) { return wrong }
            rest = rest[end...]
        }
        return nil
    }

    private static func mistake(inSpecifier text: Substring, _ names: [String]) -> String? {
        let name = text.prefix { $0 != "[" && $0 != ":" }
        guard names.contains(String(name)) else {
            let near = Suggestion.text(for: String(name), among: names)
            return "\"%{\(name.prefix(40))}\" is unknown. Expected one of \(names.joined(separator: ", ")).\(near)"
        }
        var rest = text.dropFirst(name.count)
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]"), isSlice(rest[..<end].dropFirst()) else {
                return "a slice is written [from:to], with whole numbers."
            }
            rest = rest[rest.index(after: end)...]
        }
        guard !rest.isEmpty else { return nil }
        guard rest.first == ":" else { return "\"%{\(text.prefix(40))}\" has too much after the slice." }
        for modifier in rest.dropFirst().split(separator: "|", omittingEmptySubsequences: false)
        where !modifiers.contains(String(modifier)) {
            return "\":\(modifier.prefix(20))\" is no modifier. Expected \(Suggestion.list(modifiers))."
        }
        return nil
    }

    private static func isSlice(_ text: Substring) -> Bool {
        let ends = text.split(separator: ":", omittingEmptySubsequences: false)
        return (1...2).contains(ends.count)
            && ends.allSatisfy { end in
                let digits = end.first == "-" ? end.dropFirst() : end
                return end.isEmpty ? ends.count == 2 : Values.number(digits).map { $0 < 1000 } ?? false
            }
    }
}
