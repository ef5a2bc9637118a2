// Owns: lookups that never keep a thread waiting. Refuses: the answers of programs themselves (ProgramTableTests).

import Glibc
import MailModel
import Synchronization
import Testing

@testable import Routing

@Suite struct InquiryTests {
    /// Jobs that wait until somebody does them: no thread at all.
    private final class Jobs: Sendable {
        private let jobs = Mutex<[@Sendable () -> Void]>([])
        private let done = Mutex(0)
        var count: Int { done.withLock { $0 } }

        func add(_ job: @escaping @Sendable () -> Void) { jobs.withLock { $0.append(job) } }

        /// Does jobs on this thread until the condition holds; false when it never does.
        func run(until condition: () -> Bool) -> Bool {
            for _ in 0..<4000 {
                if condition() { return true }
                let jobs = self.jobs.withLock { jobs in
                    defer { jobs = [] }
                    return jobs
                }
                for job in jobs {
                    job()
                    done.withLock { $0 += 1 }
                }
                if jobs.isEmpty { poll(nil, 0, 5) }
            }
            return false
        }
    }

    private static let configuration = """
        table slow proc:/nowhere
        table quick proc:/nowhere
        table users { fred = "1:1:/home/fred", wilma = "2:2:/home/wilma" }
        action "slow" maildir alias <slow> userbase <users>
        action "quick" maildir alias <quick> userbase <users>
        match from any for domain "slow.example" action "slow"
        match from any for domain "quick.example" action "quick"
        """

    private func router(_ tables: [any Table]) throws -> Router {
        let users = StaticTable(
            name: "users",
            mapping: [.init(key: "fred", value: "1:1:/home/fred"), .init(key: "wilma", value: "2:2:/home/wilma")])
        return Router(
            configuration: try parse(Self.configuration), tables: TableSet(tables: tables + [users]), localNames: [])
    }

    private func facts(_ address: String) throws -> MatchFacts {
        MatchFacts(client: .local, reversePath: .null, recipient: try #require(Mailbox(address)))
    }

    @Test func theAnswerIsThatOfAWaitingLookup() throws {
        let folder = Folder()
        let quick = try programTable("root fred, wilma\nall root, fred, nobody\n", in: folder, name: "quick")
        let router = try router([quick])
        for name in ["root", "all", "fred", "none"] {
            let facts = try facts("\(name)@quick.example")
            let jobs = Jobs()
            let result = Mutex<Expansion?>(nil)
            router.inquire(on: jobs.add, { $0.expand(facts) }) { value in result.withLock { $0 = value } }
            #expect(jobs.run { result.withLock { $0 != nil } })
            #expect(result.withLock { $0 } == router.expand(facts), "\(name)")
        }
    }

    @Test func aListIsAskedInFewRounds() throws {
        let folder = Folder()
        let members = (0..<300).map { "user\($0)" }.joined(separator: ", ")
        let router = try router([try programTable("list \(members)\n", in: folder, name: "quick")])
        let facts = try facts("list@quick.example")
        let jobs = Jobs()
        let rounds = Mutex(0)
        let isDone = Mutex(false)
        router.inquire(
            on: jobs.add,
            { router in
                rounds.withLock { $0 += 1 }
                return router.expand(facts)
            }
        ) { _ in isDone.withLock { $0 = true } }
        #expect(jobs.run { isDone.withLock { $0 } })
        #expect(rounds.withLock { $0 } <= 8)
    }

    /// One executor for both, as two sessions share a thread.
    @Test func oneThatWaitsHoldsUpNoOther() throws {
        let (first, second) = (Folder(), Folder())
        let router = try router([
            try programTable("root fred\n", in: first, name: "slow"),
            try programTable("root wilma\n", in: second, name: "quick"),
        ])
        let (hanging, quick) = (try facts("hang@slow.example"), try facts("root@quick.example"))
        let jobs = Jobs()
        let answered = Mutex(false)
        let isDone = Mutex(false)
        router.inquire(on: jobs.add, { $0.expand(hanging) }) { _ in answered.withLock { $0 = true } }
        #expect(jobs.run { jobs.count > 0 })
        router.inquire(on: jobs.add, { $0.expand(quick) }) { _ in isDone.withLock { $0 = true } }
        #expect(jobs.run { isDone.withLock { $0 } })
        #expect(!answered.withLock { $0 })
    }

    @Test func withoutProgramsThereIsOneRound() throws {
        let router = try router([StaticTable(name: "quick", mapping: [.init(key: "root", value: "fred")])])
        let facts = try facts("root@quick.example")
        let jobs = Jobs()
        let isDone = Mutex(false)
        router.inquire(on: jobs.add, { $0.expand(facts) }) { _ in isDone.withLock { $0 = true } }
        #expect(jobs.run { isDone.withLock { $0 } } && jobs.count == 1)
    }
}
