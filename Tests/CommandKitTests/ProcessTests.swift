import Glibc
import SystemPackage
import Testing

@testable import CommandKit

/// Runs a shell with its output in a pipe.
private func shell(_ script: String, _ change: (inout ProcessLaunch) -> Void = { _ in }) throws -> (
    output: String, outcome: ChildOutcome
) {
    let (reader, writer) = try FileDescriptor.pipe()
    var launch = ProcessLaunch("/bin/sh", ["-c", script])
    launch.environment = ["PATH": "/usr/bin:/bin"]
    launch.mappings = [.init(writer.rawValue, as: 1)]
    change(&launch)
    let child = try launch.start()
    try writer.close()
    return (try readAll(reader), try child.wait())
}

struct ProcessLaunchTests {
    @Test func `arguments and environment arrive as they are`() throws {
        let result = try shell("printf '%s|' \"$0\" \"$@\"; env") { launch in
            launch.arguments += ["a b", "", "$HOME", "ä"]
            launch.environment = ["ONLY": "x=y"]
        }
        #expect(result.output.hasPrefix("a b||$HOME|ä|"))
        #expect(result.output.contains("ONLY=x=y"))
        #expect(!result.output.contains("HOME="))
        #expect(result.outcome == .exited(status: 0))
    }

    @Test func `status and signal come back`() throws {
        #expect(try shell("exit 78").outcome == .exited(status: 78))
        #expect(try shell("kill -9 $$").outcome == .killed(signal: SIGKILL))
        #expect(ChildOutcome.exited(status: 78).description == "ended with status 78 (the configuration is wrong)")
        #expect(ChildOutcome.killed(signal: SIGKILL).description == "was ended by signal 9 (killed)")
    }

    @Test func `only what is named is open in the child`() throws {
        let stray = try FileDescriptor.open("/dev/null", .readOnly)
        defer { try? stray.close() }
        _ = fcntl(stray.rawValue, F_SETFD, 0)
        // ls has 3 open on the directory itself.
        let result = try shell("exec ls /proc/self/fd")
        #expect(result.output.split(separator: "\n") == ["0", "1", "2", "3"])
    }

    @Test func `descriptors that change places do not overwrite each other`() throws {
        let a = try FileDescriptor.pipe()
        let b = try FileDescriptor.pipe()
        let result = try shell("cd /proc/self/fd; echo to-a >\(b.writeEnd.rawValue); echo to-b >\(a.writeEnd.rawValue)")
        { launch in
            launch.mappings += [
                .init(a.writeEnd.rawValue, as: b.writeEnd.rawValue),
                .init(b.writeEnd.rawValue, as: a.writeEnd.rawValue),
            ]
        }
        try a.writeEnd.close()
        try b.writeEnd.close()
        #expect(result.outcome.isSuccess)
        #expect(try readAll(a.readEnd) == "to-a\n")
        #expect(try readAll(b.readEnd) == "to-b\n")
    }

    @Test func `signals are as they are for a new program`() throws {
        try Signals.block([.user1])
        Signals.ignoreBrokenPipes()
        let result = try shell("awk '/SigBlk|SigIgn/ {print $2}' /proc/self/status")
        let sets = result.output.split(separator: "\n").map { UInt64($0, radix: 16) }
        // Signals 32 and 33 belong to the C library, which lets nobody set them.
        #expect(sets.map { $0.map { $0 & ~0x1_8000_0000 } } == [0, 0])
    }

    @Test func `a session of its own and a directory`() throws {
        let result = try shell("pwd; cut -d' ' -f6 /proc/$$/stat; echo $$") { launch in
            launch.grouping = .newSession
            launch.directory = "/usr"
        }
        let lines = result.output.split(separator: "\n")
        #expect(lines.first == "/usr")
        #expect(lines[1] == lines[2])
    }

    @Test func `the pid stands in the listening variables`() throws {
        let listener = try ListeningSocket.tcp(loopback())
        defer { listener.close() }
        let result = try shell("echo $LISTEN_PID $$ $LISTEN_FDS $LISTEN_FDNAMES; readlink /proc/$$/fd/3") { launch in
            launch.listening = [InheritedSocket(descriptor: listener.descriptor, name: "a:b")]
        }
        let words = result.output.split { " \n".contains($0) }
        #expect(words[0] == words[1])
        #expect(words[2] == "1")
        #expect(words[3] == "a_b")
        #expect(words[4].hasPrefix("socket:"))
    }

    @Test(.enabled(if: geteuid() == 0, "becoming another user needs root"))
    func `identity is given up for good`() throws {
        let result = try shell("id -u; id -g; id -G; grep CapEff /proc/self/status") { launch in
            launch.identity = .init(uid: 65533, gid: 65532, groups: [65531])
        }
        #expect(result.output == "65533\n65532\n65532 65531\nCapEff:\t0000000000000000\n")
    }

    @Test func `a child with a death signal ends with the thread that started it`() throws {
        // The child reads a pipe that nobody writes: nothing but the signal ends it.
        let (reader, writer) = try FileDescriptor.pipe()
        let (started, starting) = try FileDescriptor.pipe()
        try Thread.start {
            var launch = ProcessLaunch("/bin/cat")
            launch.mappings = [.init(reader.rawValue, as: 0)]
            launch.deathSignal = .terminate
            let pid = (try? launch.start())?.pid ?? -1
            _ = try? starting.writeAll("\(pid)".utf8)
            try? starting.close()
        }
        let pid = try #require(Int32(try readAll(started)))
        #expect(try ChildProcess(pid: pid).wait() == .killed(signal: SIGTERM))
        try reader.close()
        try writer.close()
    }

    @Test(arguments: [
        (
            "/nonexistent/program", nil as String?, ExitStatus.osFile,
            "it cannot be executed: no such file or directory."
        ),
        ("/etc/passwd", nil, .osFile, "it cannot be executed: permission denied."),
        (
            "/bin/sh", "/nonexistent", .osError,
            "its directory /nonexistent cannot be entered: no such file or directory."
        ),
    ])
    func `a child that cannot start is told and gone`(
        program: String, directory: String?, status: ExitStatus, ending: String
    ) throws {
        var launch = ProcessLaunch(program)
        launch.directory = directory
        let failure = #expect(throws: CommandFailure.self) { try launch.start() }
        #expect(failure?.status == status)
        #expect(failure?.sentence == "cannot run \(program): \(ending)")
    }

    @Test func `two mappings to one number are refused`() {
        var launch = ProcessLaunch("/bin/sh")
        launch.mappings = [.init(0, as: 5), .init(1, as: 5)]
        #expect(throws: CommandFailure.self) { try launch.start() }
    }

    @Test func `a closed descriptor is refused`() {
        var launch = ProcessLaunch("/bin/sh")
        launch.mappings = [.init(60_000, as: 5)]
        let failure = #expect(throws: CommandFailure.self) { try launch.start() }
        #expect(failure?.sentence == "cannot run /bin/sh: its descriptors cannot be set up: bad file descriptor.")
    }

    @Test func `a zero byte never cuts an argument`() {
        #expect(throws: CommandFailure.self) { try ProcessLaunch("/bin/sh", ["-c", "exit 0\0exit 1"]).start() }
    }
}

struct InheritedSocketTests {
    @Test(arguments: [
        ("meant for us", ["LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "smtp:"], ["smtp", "unknown"]),
        ("for another process", ["LISTEN_PID": "8", "LISTEN_FDS": "2"], []),
        ("no pid", ["LISTEN_FDS": "2"], []), ("none", [:], []), ("zero", ["LISTEN_PID": "7", "LISTEN_FDS": "0"], []),
        ("no names", ["LISTEN_PID": "7", "LISTEN_FDS": "1"], ["unknown"]),
    ])
    func `what the variables announce`(reason: String, variables: [String: String], names: [String]) throws {
        let sockets = try InheritedSocket.announced(in: variables, pid: 7)
        #expect(sockets.map(\.name) == names, "\(reason)")
        #expect(sockets.map(\.descriptor) == (0..<Int32(names.count)).map { $0 + 3 })
    }

    @Test(arguments: ["-1", "1025", "x", "99999999999999999999"])
    func `an absurd number is refused`(count: String) {
        let failure = #expect(throws: CommandFailure.self) {
            try InheritedSocket.announced(in: ["LISTEN_PID": "7", "LISTEN_FDS": count], pid: 7)
        }
        #expect(failure?.status == .configuration)
    }

    @Test func `variables of the parent are not passed on`() {
        let kept = InheritedSocket.stripped(["A": "1", "LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x"])
        #expect(kept == ["A": "1"])
    }
}

struct AccountsTests {
    @Test func `root is there`() throws {
        let root = try #require(try Accounts.user(named: "root"))
        #expect(root.uid == 0)
        #expect(try Accounts.user(id: 0) == root)
        #expect(try Accounts.groups(of: root).contains(root.gid))
        #expect(try Accounts.group(id: root.gid)?.name == "root")
    }

    @Test(arguments: ["", "no such user", "root\0x"])
    func `who is not there is nil`(name: String) throws {
        #expect(try Accounts.user(named: name) == nil)
        #expect(try Accounts.group(named: name) == nil)
    }
}

struct HardeningTests {
    @Test func `the limit on files is the hard one`() {
        let now = Hardening.raiseDescriptorLimit()
        #expect(now > 0)
        #expect(Hardening.raiseDescriptorLimit() == now)
    }

    @Test func `siblings lie beside the program`() throws {
        #expect(try ProgramPaths.sibling("mail-x").hasSuffix("/mail-x"))
        let failure = #expect(throws: CommandFailure.self) { try ProgramPaths.executableSibling("mail-x") }
        #expect(failure?.status == .osFile)
    }
}

struct SignalsTests {
    @Test func `a blocked signal is read from the descriptor`() throws {
        // Sent to this thread alone: other tests run beside this one.
        let signals = try SignalDescriptor([.hangup])
        #expect(try signals.next() == nil)
        pthread_kill(pthread_self(), SIGHUP)
        #expect(try signals.next() == .hangup)
        #expect(try signals.next() == nil)
    }
}

func loopback() throws -> SocketAddress { try #require(SocketAddress(numeric: "127.0.0.1", port: 0)) }
