// Owns: asking rules and tables without waiting for the programs of tables. Refuses: threads: whoever asks says where
// the work is done.

import Synchronization

extension Router {
    /// Judges something by rules and tables, and never keeps a thread waiting for a program.
    ///
    /// `judge` runs with a router whose programs answer from what they have said already. What they have not said yet
    /// is asked, and `judge` runs again, until nothing is missing; what it gave before is dropped. So it must have no
    /// effect but its value. A thousand members of a list are asked in ten
    /// rounds, not in a thousand.
    ///
    /// ```swift
    /// router.inquire(on: { queue.run($0) }, { $0.expand(facts) }) { expansion in reply(expansion) }
    /// ```
    /// - Parameters:
    ///   - executor: where `judge` runs; files and the system's users may block it, programs never.
    ///   - answer: called once, where `judge` ran.
    public func inquire<Value: Sendable>(
        on executor: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void,
        _ judge: @escaping @Sendable (Router) -> Value, then answer: @escaping @Sendable (Value) -> Void
    ) {
        let memo = Memo()
        Inquiry(router: Router(self, memo: memo), memo: memo, executor: executor, judge: judge, answer: answer).run()
    }
}

extension Router {
    fileprivate init(_ router: Router, memo: Memo) {
        self = router.with(tables: router.tables.remembering(memo))
    }
}

/// One question, from round to round.
private struct Inquiry<Value: Sendable>: Sendable {
    let router: Router
    let memo: Memo
    let executor: @Sendable (@escaping @Sendable () -> Void) -> Void
    let judge: @Sendable (Router) -> Value
    let answer: @Sendable (Value) -> Void

    func run() { executor { runRound() } }

    private func runRound() {
        let value = judge(router)
        let missing = memo.takeMissing()
        guard !missing.isEmpty else { return answer(value) }
        // The last answer begins the next round, from the thread of its program.
        let open = Countdown(missing.count)
        for question in missing {
            question.table.ask(question.query) { result in
                memo.put(result, for: question)
                if open.isLast() { run() }
            }
        }
    }
}

private final class Countdown: Sendable {
    private let left: Mutex<Int>
    init(_ count: Int) { left = Mutex(count) }
    func isLast() -> Bool {
        left.withLock { left in
            left -= 1
            return left == 0
        }
    }
}

/// What programs have said to one inquiry, and what must be asked.
final class Memo: Sendable {
    /// Lookups of programs that one address may cost: more than the widest tree has nodes, keys included.
    static let limit = 10_000

    /// Asked at once: each counts its wait for the others, and more would leave too little to the last.
    private static let roundLimit = 100

    struct Question: Sendable {
        let table: ProgramTable
        let query: TableQuery
    }
    private struct Key: Hashable {
        var table: String
        var query: TableQuery
    }
    private struct State {
        var answers: [Key: LookupResult<[TableEntry]>] = [:]
        var missing: [Key: ProgramTable] = [:]
    }
    private let state = Mutex(State())
    /// What is not known by then is not asked any more.
    private let end = ContinuousClock.now.advanced(by: Expander.timeLimit)

    /// The answer if it is known; else any one, and the question is noted.
    fileprivate func answer(_ table: ProgramTable, _ query: TableQuery) -> LookupResult<[TableEntry]> {
        let key = Key(table: table.name, query: query)
        return state.withLock { state in
            if let known = state.answers[key] { return known }
            guard ContinuousClock.now < end else {
                return .temporaryFailure(
                    "one address took longer than \(Expander.timeLimit.logDescription) to look up")
            }
            guard state.answers.count + state.missing.count < Self.limit else {
                return .temporaryFailure("one address needs more than \(Self.limit) lookups of programs")
            }
            state.missing[key] = table
            return .temporaryFailure("its program has not answered yet")
        }
    }

    fileprivate func put(_ result: LookupResult<[TableEntry]>, for question: Question) {
        state.withLock { $0.answers[Key(table: question.table.name, query: question.query)] = result }
    }

    fileprivate func takeMissing() -> [Question] {
        state.withLock { state in
            defer { state.missing = [:] }
            return state.missing.prefix(Self.roundLimit).map { Question(table: $1, query: $0.query) }
        }
    }
}

/// A program's table that answers from a memo.
struct RememberedTable: Table {
    let table: ProgramTable
    let memo: Memo

    var name: String { table.name }

    func find(_ key: String, for service: TableService) -> LookupResult<TableEntry> { first(.key(key, service)) }
    func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> { find(key, for: .string) }
    func find(member key: String) -> LookupResult<TableEntry> { first(.member(key)) }
    func find(network address: IPAddress) -> LookupResult<TableEntry> { first(.network(address)) }
    func find(matching text: String) -> LookupResult<TableEntry> { first(.matching(text)) }
    func all() -> LookupResult<[TableEntry]> { memo.answer(table, .all) }

    private func first(_ query: TableQuery) -> LookupResult<TableEntry> { memo.answer(table, query).first }
}

extension LookupResult where Value == [TableEntry] {
    /// The first entry; an empty list has none.
    var first: LookupResult<TableEntry> {
        switch self {
        case .found(let entries): entries.first.map { .found($0) } ?? .notFound
        case .notFound: .notFound
        case .temporaryFailure(let why): .temporaryFailure(why)
        }
    }
}
