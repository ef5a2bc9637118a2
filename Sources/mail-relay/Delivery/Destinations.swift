// Owns: the line of jobs for each next hop, how many are under way there, and connections kept open between messages.
// Refuses: carrying (Carrier), the queue. Used by the runner's thread alone.

import DequeModule
import MailModel

/// Decides which job goes next, and over which connection.
struct Destinations {
    /// Connections to one next hop at a time.
    static let connectionLimit = 20
    /// `session-mail-max`: messages over one connection.
    static let messageLimit = 100
    /// A connection with nothing to do is closed after this long (milliseconds).
    static let idleLimit: Int64 = 2000

    private struct Line {
        var waiting: Deque<Job> = []
        var active = 0
        var idle: [(open: OpenConnection, since: Int64)] = []
        var isEmpty: Bool { waiting.isEmpty && active == 0 && idle.isEmpty }
    }
    private var lines: [NextHop: Line] = [:]
    /// Open connections with nothing to do.
    private(set) var idleCount = 0

    mutating func add(_ job: Job) { lines[job.nextHop, default: Line()].waiting.append(job) }

    /// Takes the jobs that may start now, each with a connection that is free, if there is one.
    mutating func start(_ nextHop: NextHop) -> [(job: Job, over: OpenConnection?)] {
        guard var line = lines[nextHop] else { return [] }
        var started: [(Job, OpenConnection?)] = []
        while line.active < Self.connectionLimit, let job = line.waiting.popFirst() {
            line.active += 1
            let open = line.idle.popLast()?.open
            if open != nil { idleCount -= 1 }
            started.append((job, open))
        }
        lines[nextHop] = line
        return started
    }

    /// Takes note that a job ended, and keeps its connection for the next. Gives one that must be closed instead.
    mutating func end(_ result: JobResult, now: Int64) -> OpenConnection? {
        lines[result.job.nextHop]?.active -= 1
        guard let open = result.connection else { return nil }
        guard open.messages < Self.messageLimit else { return open }
        lines[result.job.nextHop]?.idle.append((open, now))
        idleCount += 1
        return nil
    }

    /// The jobs that wait for a next hop nobody could reach: they need not try for themselves.
    mutating func giveUp(_ nextHop: NextHop) -> [Job] {
        defer { lines[nextHop]?.waiting = [] }
        return Array(lines[nextHop]?.waiting ?? [])
    }

    /// Takes the connections that had nothing to do for a while; with `all`, every idle one.
    mutating func closeIdle(now: Int64, all: Bool = false) -> [OpenConnection] {
        var closed: [OpenConnection] = []
        for nextHop in Array(lines.keys) {
            guard var line = lines[nextHop] else { continue }
            closed += line.idle.filter { all || now - $0.since >= Self.idleLimit }.map(\.open)
            line.idle.removeAll { all || now - $0.since >= Self.idleLimit }
            lines[nextHop] = line.isEmpty ? nil : line
        }
        idleCount -= closed.count
        return closed
    }
}
