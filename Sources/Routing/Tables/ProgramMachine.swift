// Owns: whose turn it is between us and the program of a table, and what its mistakes come to. Pure: no descriptor, no
// clock, no thread. Refuses: the lines themselves (TableProtocol), running it (ProgramLoop).
//
//                ask              register|ready           ask -> one request at a time
//     resting ---------> greeting ---------------> serving -----------------------------> serving
//        ^                   |                        |
//        +-------------------+------------------------+  it ended, hangs, or can't be understood
//
// Programs answer in order and OpenSMTPD asks them one thing at a time, so we do. A mistake costs the request that met
// it; a program that died or hangs is started again: at once, then after 1, 2, 4... 60 s. While it may not be started,
// whoever asks is told so and need not wait.

struct ProgramMachine {
    typealias Instant = ContinuousClock.Instant

    /// Of a request, its wait for others included, and of the greeting. A client waits five minutes for the answer to
    /// RCPT (RFC 5321 §4.5.3.2.3), and may name several tables' addresses.
    static let timeout = Duration.seconds(10)
    /// Requests in a row that brought no answer before the program counts as hanging.
    static let missLimit = 3
    /// Requests that wait; more are told to come later.
    static let queueLimit = 5000
    /// Lines in one life that answer nothing.
    static let strayLimit = 1000
    /// Requests whose late answers are known as such.
    private static let memory = 64
    static let longestPause = Duration.seconds(60)
    /// Who lived so long was well: the pauses begin anew.
    static let goodLife = Duration.seconds(60)

    enum Outcome: Hashable, Sendable {
        case found(String)
        case notFound
        /// The end of a sentence.
        case failed(String)
    }

    enum Action: Hashable {
        /// Start the program and greet it.
        case start
        case send(TableProtocol.Request, id: String)
        /// End the program; no more of it is told.
        case kill
        case answer(token: Int, Outcome)
        /// A sentence for the log.
        case say(String)
    }

    private struct Question {
        var token: Int
        var request: TableProtocol.Request
        var deadline: Instant
    }

    private enum State {
        /// Not running. It may be started from that time on; why it does not run, if it did.
        case resting(until: Instant?, why: String)
        case greeting(deadline: Instant)
        /// Asked that question, if any.
        case serving(Question?, id: String)
    }

    private let makeID: () -> UInt32
    private let limit: Duration
    private var state = State.resting(until: nil, why: "")
    private var waiting: ArraySlice<Question> = []
    private var buffer: [UInt8] = []
    private var services: Set<TableService> = []
    /// How often it was started or ended.
    private var life = 0
    private var lines = 0
    private var strays = 0
    private var misses = 0
    /// The ids of requests that were asked in this life: an answer that comes late or twice has one of them.
    private var past: [String] = []
    private var pause = Duration.zero
    private var started: Instant?

    init(timeout: Duration = timeout, makeID: @escaping () -> UInt32 = { UInt32.random(in: .min ... .max) }) {
        (limit, self.makeID) = (timeout, makeID)
    }

    // MARK: Events

    /// When `tick` must come at the latest; nil when there is nothing to wait for.
    var deadline: Instant? {
        var instants = waiting.first.map { [$0.deadline] } ?? []
        switch state {
        case .resting: break
        case .greeting(let deadline): instants.append(deadline)
        case .serving(let question, _): if let question { instants.append(question.deadline) }
        }
        return instants.min()
    }

    mutating func ask(_ request: TableProtocol.Request, token: Int, now: Instant) -> [Action] {
        guard !request.key.utf8.contains(where: { $0 == 10 || $0 == 13 || $0 == 0 }) else {
            return [.answer(token: token, .failed("the key holds a line end, which can't be asked for"))]
        }
        guard waiting.count < Self.queueLimit else {
            return [.answer(token: token, .failed("\(Self.queueLimit) lookups wait for its program already"))]
        }
        if case .resting(let until, let why) = state, let until, now < until {
            return [
                .answer(token: token, .failed("its program \(why), and is not started again before a pause is over"))
            ]
        }
        waiting.append(Question(token: token, request: request, deadline: now.advanced(by: limit)))
        return advance(now)
    }

    /// Runs the program although nobody asks.
    mutating func start(now: Instant) -> [Action] {
        guard case .resting(nil, _) = state else { return [] }
        return begin(now)
    }

    mutating func received(_ bytes: some Sequence<UInt8>, now: Instant) -> [Action] {
        guard isRunning else { return [] }
        let (actions, isSameLife) = takeLines(bytes, now)
        guard isSameLife else { return actions }
        guard buffer.count <= TableProtocol.lineLimit else {
            return actions + stop("wrote a line without end", now, kills: true)
        }
        return actions
    }

    /// It closed its side, or could not be started.
    /// - Parameter how: goes on after "its program".
    mutating func ended(_ how: String, now: Instant) -> [Action] { isRunning ? stop(how, now, kills: false) : [] }

    mutating func tick(now: Instant) -> [Action] {
        var actions: [Action] = []
        if case .greeting(let deadline) = state, now >= deadline {
            actions += stop("did not say register|ready within \(limit.logDescription)", now, kills: true)
        }
        if case .serving(let question?, _) = state, now >= question.deadline {
            misses += 1
            actions += fail(question, "did not answer within \(limit.logDescription)")
            state = .serving(nil, id: "")
            // What came of an answer without its end belongs to nobody now.
            buffer = []
            if misses >= Self.missLimit { actions += stop("does not answer any more", now, kills: true) }
        }
        let late = waiting.prefix { now >= $0.deadline }
        waiting.removeFirst(late.count)
        for question in late { actions += fail(question, "was busy for \(limit.logDescription)") }
        return actions + advance(now)
    }

    // MARK: Steps

    /// - Returns: false when a line ended the life of the program: what follows it belongs to no other life.
    private mutating func takeLines(_ bytes: some Sequence<UInt8>, _ now: Instant) -> ([Action], isSameLife: Bool) {
        let old = buffer.count
        buffer += bytes
        // Only what came now can hold the end of a line: a slow writer must not make us search all again.
        guard buffer[old...].contains(UInt8(ascii: "\n")) else { return ([], true) }
        let life = life
        var actions: [Action] = []
        var rest = buffer[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            actions += take(rest[..<end], now)
            guard life == self.life else { return (actions, false) }
            rest = rest[(end + 1)...]
        }
        buffer = Array(rest)
        return (actions, true)
    }

    private var isRunning: Bool {
        if case .resting = state { false } else { true }
    }

    private func fail(_ question: Question, _ why: String) -> [Action] {
        [.answer(token: question.token, .failed("its program \(why)"))]
    }

    /// Starts the program or sends the next request, when there is one and it may be.
    private mutating func advance(_ now: Instant) -> [Action] {
        guard !waiting.isEmpty else { return [] }
        switch state {
        case .resting: return begin(now)
        case .greeting, .serving(.some, _): return []
        case .serving(nil, _): break
        }
        var actions: [Action] = []
        while !waiting.isEmpty {
            let question = waiting.removeFirst()
            guard services.contains(question.request.service) else {
                actions += fail(question, "does not serve \(question.request.service.rawValue)")
                continue
            }
            let digits = String(makeID(), radix: 16)
            let id = String(repeating: "0", count: 8 - digits.count) + digits
            state = .serving(question, id: id)
            past = past.suffix(Self.memory) + [id]
            return actions + [.send(question.request, id: id)]
        }
        return actions
    }

    private mutating func begin(_ now: Instant) -> [Action] {
        (buffer, services, lines, strays, misses, past) = ([], [], 0, 0, 0, [])
        started = now
        life += 1
        state = .greeting(deadline: now.advanced(by: limit))
        return [.start]
    }

    private mutating func take(_ bytes: ArraySlice<UInt8>, _ now: Instant) -> [Action] {
        guard bytes.count <= TableProtocol.lineLimit else {
            return stop("wrote a line of \(bytes.count) octets", now, kills: true)
        }
        let line = String(validating: bytes.last == 13 ? bytes.dropLast() : bytes, as: UTF8.self)
        switch state {
        case .resting: return []
        case .greeting: return register(line, now)
        case .serving(let question, let id):
            guard let line, let reply = TableProtocol.reply(line) else { return stray(question, "is no answer", now) }
            if let question, reply.id == id, reply.operation == question.request.operation {
                misses = 0
                state = .serving(nil, id: "")
                return [.answer(token: question.token, outcome(reply.answer))] + advance(now)
            }
            // Late or twice: whoever asked has been told, and who asks now has another id.
            if reply.id != id, past.contains(String(reply.id)) { return stray(nil, "came late or twice", now) }
            return stray(question, "answers what was not asked", now)
        }
    }

    private mutating func register(_ line: String?, _ now: Instant) -> [Action] {
        lines += 1
        guard let line, let name = TableProtocol.registration(line), lines <= Self.strayLimit else {
            return stop("wrote something else than register|SERVICE when it was started", now, kills: true)
        }
        guard name == "ready" else {
            // Services that we do not know are no harm.
            if let service = TableService(rawValue: String(name)) { services.insert(service) }
            return []
        }
        state = .serving(nil, id: "")
        return advance(now)
    }

    private func outcome(_ answer: TableProtocol.Answer) -> Outcome {
        switch answer {
        case .found(let value): .found(value)
        case .notFound: .notFound
        case .error(let text):
            .failed("its program reports an error" + (text.isEmpty ? "" : ": \(text.prefix(200))"))
        }
    }

    /// A line that nobody waits for. The request under way takes it for its answer when it may be that.
    private mutating func stray(_ question: Question?, _ what: String, _ now: Instant) -> [Action] {
        strays += 1
        guard strays <= Self.strayLimit else {
            return stop("wrote \(strays) lines that answer nothing", now, kills: true)
        }
        var actions: [Action] =
            strays == 1 ? [.say("its program wrote a line that \(what). More of these are not told.")] : []
        guard let question else { return actions }
        actions += fail(question, "wrote a line that \(what)")
        state = .serving(nil, id: "")
        return actions + advance(now)
    }

    private mutating func stop(_ why: String, _ now: Instant, kills: Bool) -> [Action] {
        var actions: [Action] = kills ? [.kill] : []
        if case .serving(let question?, _) = state { actions += fail(question, why) }
        if let started, started.duration(to: now) >= Self.goodLife { pause = .zero }
        let until = now.advanced(by: pause)
        let when = pause == .zero ? "It is started again." : "It is started again after \(pause.logDescription)."
        actions.append(.say("its program \(why). \(when)"))
        state = .resting(until: until, why: why)
        buffer = []
        life += 1
        guard pause == .zero else {
            pause = min(pause * 2, Self.longestPause)
            for question in waiting { actions += fail(question, why) }
            waiting = []
            return actions
        }
        pause = .seconds(1)
        return actions + advance(now)
    }
}
