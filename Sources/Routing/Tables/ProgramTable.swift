// Owns: a table that a program answers for. Refuses: the program (ProgramLoop), what its values mean (Services).

import Glibc
import Synchronization

/// What a table can be asked.
enum TableQuery: Hashable, Sendable {
    case key(String, TableService)
    case member(String)
    case network(IPAddress)
    case matching(String)
    case all
}

/// Lookups block their thread until the program answered, at most some seconds; `ask` does not.
///
/// The program judges addresses and expressions by itself; of domains and mail addresses it gets each key under which
/// they can stand, so that one which knows only keys does.
public final class ProgramTable: Table {
    public let name: String
    private let loop: ProgramLoop

    /// The program is started by the first lookup, or by `start`.
    /// - Throws: when there is no such program, or this user may not execute it.
    init(
        name: String, program: TableProgram, timeout: Duration = ProgramMachine.timeout,
        report: @escaping @Sendable (String) -> Void
    ) throws(ConfigurationError) {
        self.name = name
        do {
            let (path, arguments) = try program.resolve()
            loop = ProgramLoop(path: path, arguments: arguments, table: name, timeout: timeout, report: report)
        } catch {
            throw ConfigurationError(file: "table \(name)", message: error.reason)
        }
    }

    deinit { loop.stop() }

    func start() { loop.start() }

    public func find(_ key: String, for service: TableService) -> LookupResult<TableEntry> {
        wait(.key(key, service)).first
    }
    public func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> { find(key, for: .string) }
    public func find(member key: String) -> LookupResult<TableEntry> { wait(.member(key)).first }
    public func find(network address: IPAddress) -> LookupResult<TableEntry> { wait(.network(address)).first }
    public func find(matching text: String) -> LookupResult<TableEntry> { wait(.matching(text)).first }
    public func all() -> LookupResult<[TableEntry]> { wait(.all) }

    /// Asks without waiting.
    /// - Parameter answer: called once, on the program's thread; must not block.
    func ask(_ query: TableQuery, answer: @escaping @Sendable (LookupResult<[TableEntry]>) -> Void) {
        switch query {
        case .key(let key, let service):
            send(service.needsValues ? .lookup : .check, service, key, answer)
        case .member(let key): send(.check, .string, key, answer)
        case .matching(let text): send(.check, .regex, text, answer)
        case .all: send(.fetch, .source, "", answer)
        case .network(let address):
            guard address.isIPv6 else { return send(.check, .netaddr, "\(address)", answer) }
            // As OpenSMTPD writes it; then as programs that know only addresses may.
            send(.check, .netaddr, "[\(address)]") { [loop, name] first in
                guard case .notFound = first else { return answer(first) }
                Self.send(loop, name, .check, .netaddr, "\(address)", answer)
            }
        }
    }

    private func send(
        _ operation: TableProtocol.Operation, _ service: TableService, _ key: String,
        _ answer: @escaping @Sendable (LookupResult<[TableEntry]>) -> Void
    ) { Self.send(loop, name, operation, service, key, answer) }

    private static func send(
        _ loop: ProgramLoop, _ name: String, _ operation: TableProtocol.Operation, _ service: TableService,
        _ key: String, _ answer: @escaping @Sendable (LookupResult<[TableEntry]>) -> Void
    ) {
        let request = TableProtocol.Request(operation: operation, service: service, key: key)
        loop.ask(
            ProgramRequest(request: request) { outcome in
                switch outcome {
                case .notFound: answer(.notFound)
                case .failed(let why): answer(.temporaryFailure(why))
                case .found(let value):
                    let entry =
                        switch operation {
                        case .lookup: TableEntry(table: name, key: key, value: value)
                        case .fetch: TableEntry(table: name, key: value, value: nil)
                        case .check, .update: TableEntry(table: name, key: key, value: nil)
                        }
                    answer(.found([entry]))
                }
            })
    }

    private func wait(_ query: TableQuery) -> LookupResult<[TableEntry]> {
        let slip = Slip()
        ask(query) { slip.put($0) }
        return slip.take()
    }

    /// Sendable by proof: `value` is written once before sem_post and read after sem_wait, which orders the two; the
    /// pointer never changes.
    private final class Slip: @unchecked Sendable {
        private var value: LookupResult<[TableEntry]>?
        private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

        init() { sem_init(semaphore, 0, 0) }

        deinit {
            sem_destroy(semaphore)
            semaphore.deallocate()
        }

        func put(_ value: LookupResult<[TableEntry]>) {
            self.value = value
            sem_post(semaphore)
        }

        /// Every request gets an outcome within the machine's time, so this ends.
        func take() -> LookupResult<[TableEntry]> {
            while true {
                if sem_wait(semaphore) == 0, let value { return value }
            }
        }
    }
}
