// Owns: the entries of a table in memory, found by key or by network. Refuses: where they came from.

struct TableContent: Sendable {
    let entries: [TableEntry]
    private let exact: [String: Int]
    /// By lower-case key; the first of several wins.
    private let folded: [String: Int]
    private let networks: [Network: Int]
    /// The prefix lengths that occur, longest first, so that a lookup costs one probe a length.
    private let lengths: (v4: [Int], v6: [Int])
    private let patterns = PatternList()

    init(_ entries: [TableEntry]) {
        self.entries = entries
        let numbered = entries.enumerated().map { ($1.key, $0) }
        exact = Dictionary(numbered) { first, _ in first }
        folded = Dictionary(numbered.map { ($0.lowercased(), $1) }) { first, _ in first }
        let networks = Dictionary(numbered.compactMap { key, index in Network(key).map { ($0, index) } }) { a, _ in a }
        self.networks = networks
        func lengths(isIPv6: Bool) -> [Int] {
            Set(networks.keys.filter { $0.base.isIPv6 == isIPv6 }.map(\.prefixLength)).sorted(by: >)
        }
        self.lengths = (lengths(isIPv6: false), lengths(isIPv6: true))
    }

    func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> {
        guard let index = folding ? folded[key.lowercased()] : exact[key] else { return .notFound }
        return .found(entries[index])
    }

    func find(network address: IPAddress) -> LookupResult<TableEntry> {
        for length in address.isIPv6 ? lengths.v6 : lengths.v4 {
            if let index = networks[Network(base: address.masked(length), prefixLength: length)] {
                return .found(entries[index])
            }
        }
        return .notFound
    }

    func find(matching text: String) -> LookupResult<TableEntry> { patterns.first(in: entries, matching: text) }

    /// What is wrong with the content for a service: the entry and a sentence.
    func mistake(for service: TableService) -> (entry: TableEntry, sentence: String)? {
        Self.mistake(in: entries, for: service)
    }

    static func mistake(
        in entries: [TableEntry], for service: TableService
    ) -> (entry: TableEntry, sentence: String)? {
        guard let first = entries.first else { return nil }
        let isList = first.value == nil
        if isList ? !service.takesLists : !service.needsValues {
            let kind = isList ? "a list" : "keys with values"
            let need = service.needsValues ? "keys with values" : "a list"
            return (first, "the table is \(kind), and \(service.purpose) need \(need).")
        }
        var seen: Set<String> = []
        for entry in entries {
            let wrong = entry.value.map { service.wrongValue($0) } ?? service.wrongKey(entry.key)
            if let wrong { return (entry, wrong) }
            guard entry.value != nil, service.foldsCase else { continue }
            guard seen.insert(entry.key.lowercased()).inserted else {
                return (entry, "the key \"\(entry.key.prefix(60))\" stands in this table twice (case does not count).")
            }
        }
        return nil
    }
}
