// Owns: the regular expressions of tables, POSIX extended ones (regex(7)). Refuses: lists of them (TableContent).

import Glibc
import Synchronization

/// A compiled expression; case makes no difference.
/// Sendable by proof: it is written in init alone, and regexec(3) is safe in several threads at once.
final class Pattern: @unchecked Sendable {
    /// Octets of an expression and of what is matched; both come from people.
    static let limit = 4096

    private let compiled: UnsafeMutablePointer<regex_t>

    /// - Throws: what is wrong with the expression, as the C library says it.
    init(_ text: String) throws(MalformedValue) {
        guard text.utf8.count <= Self.limit, !text.utf8.contains(0) else {
            throw MalformedValue("the expression is longer than \(Self.limit) octets, or has a zero octet.")
        }
        // A constant of its own: once the property is set, deinit would free what regcomp did not make.
        let compiled = UnsafeMutablePointer<regex_t>.allocate(capacity: 1)
        compiled.initialize(to: regex_t())
        let status = regcomp(compiled, text, REG_EXTENDED | REG_NOSUB | REG_ICASE)
        guard status == 0 else {
            var buffer = [CChar](repeating: 0, count: 200)
            regerror(status, compiled, &buffer, buffer.count)
            compiled.deallocate()
            let reason = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw MalformedValue(
                "\"\(text.prefix(60))\" is no regular expression (\(reason)). See regex(7).")
        }
        self.compiled = compiled
    }

    deinit {
        regfree(compiled)
        compiled.deallocate()
    }

    /// Whether the expression matches somewhere in the text; `^` and `$` bind it to the ends.
    func matches(_ text: String) -> Bool {
        text.utf8.count <= Self.limit && regexec(compiled, text, 0, nil, 0) == 0
    }
}

/// The keys of a list, compiled when they are first asked for and then kept.
final class PatternList: Sendable {
    private let compiled = Mutex<[Result<Pattern, MalformedValue>]?>(nil)

    /// The first entry that matches. One that can't be compiled might have been it: the answer is not known then.
    func first(in entries: [TableEntry], matching text: String) -> LookupResult<TableEntry> {
        guard text.utf8.count <= Pattern.limit else {
            return .temporaryFailure("what is matched is longer than \(Pattern.limit) octets")
        }
        for (entry, pattern) in zip(entries, patterns(entries)) {
            switch pattern {
            case .failure(let error): return .temporaryFailure("\(entry.place): \(error.sentence)")
            case .success(let pattern):
                if pattern.matches(text) { return .found(entry) }
            }
        }
        return .notFound
    }

    private func patterns(_ entries: [TableEntry]) -> [Result<Pattern, MalformedValue>] {
        compiled.withLock { compiled in
            if let compiled { return compiled }
            let new = entries.map { entry in Result { () throws(MalformedValue) in try Pattern(entry.key) } }
            compiled = new
            return new
        }
    }
}
