// Owns: what a child process gets, said in full, and starting it. Refuses: shells and PATH; a program is named by its
// path, arguments stay apart.

import CLinux
import Glibc
import SystemPackage

/// A child gets exactly what stands here: standard input, output and error of the parent unless mapped, the
/// descriptors named, no other; default signal dispositions and an empty mask.
///
/// ```swift
/// var launch = ProcessLaunch("/usr/sbin/mail-relay", ["--agent"])
/// launch.identity = ProcessLaunch.Identity(uid: account.uid, gid: account.gid, groups: [])
/// let child = try launch.start()
/// ```
public struct ProcessLaunch: Hashable, Sendable {
    /// A descriptor of ours and its number in the child.
    public struct Mapping: Hashable, Sendable {
        public var ours: Int32
        public var theirs: Int32
        public init(_ ours: Int32, as theirs: Int32) { (self.ours, self.theirs) = (ours, theirs) }
    }

    public struct Identity: Hashable, Sendable {
        public var uid: UInt32
        public var gid: UInt32
        /// Supplementary groups; none are inherited.
        public var groups: [UInt32]
        public init(uid: UInt32, gid: UInt32, groups: [UInt32]) {
            (self.uid, self.gid, self.groups) = (uid, gid, groups)
        }
    }

    public enum Grouping: Hashable, Sendable { case sameGroup, newGroup, newSession }

    /// An absolute path.
    public var program: String
    /// Without the program's own name.
    public var arguments: [String]
    /// argv[0]; the last part of `program` unless set.
    public var name: String
    public var environment: [String: String] = [:]
    public var mappings: [Mapping] = []
    /// Listening sockets for `LISTEN_FDS`: they become 3, 4...; no mapping may use those numbers.
    public var listening: [InheritedSocket] = []
    /// What the mappings hand over and nobody needs here after the start; closed when the last copy of this goes.
    public var handedOver: [SealedMemory] = []
    public var grouping = Grouping.sameGroup
    /// nil keeps ours.
    public var identity: Identity?
    /// nil keeps ours.
    public var directory: String?
    /// Sent to the child when the *thread* that started it ends; start such children from the main thread.
    public var deathSignal: Signal?

    public init(_ program: String, _ arguments: [String] = []) {
        (self.program, self.arguments) = (program, arguments)
        name = program.split(separator: "/").last.map(String.init) ?? program
    }

    /// Returns when the program runs. Fails as a whole: no process is left behind.
    public func start() throws(CommandFailure) -> ChildProcess {
        let strings = [program, name] + arguments + environment.flatMap { [$0.key, $0.value] } + [directory ?? ""]
        guard !strings.contains(where: { $0.utf8.contains(0) }) else {
            throw CommandFailure(.software, "cannot run \(program): a zero byte stands in its arguments.")
        }
        var failure = pouch_spawn_failure()
        let pid = withRequest { pouch_spawn(&$0, &failure) }
        guard pid > 0 else { throw explain(failure) }
        return ChildProcess(pid: pid)
    }

    /// Hands sealed memory to the child, under a number that nothing else has, which an argument tells it.
    public mutating func hand(_ memory: SealedMemory, option: String) {
        let number = nextDescriptor
        handedOver.append(memory)
        mappings.append(Mapping(memory.descriptor, as: number))
        arguments += [option, String(number)]
    }

    /// The lowest number above standard error that the child has no use for yet.
    public var nextDescriptor: Int32 {
        max(InheritedSocket.first + Int32(listening.count), (mappings.map(\.theirs).max() ?? 0) + 1)
    }

    /// The variables the child sees, but for LISTEN_PID, whose value only the child knows.
    var fullEnvironment: [String: String] {
        listening.isEmpty ? environment : environment.merging(InheritedSocket.variables(for: listening)) { $1 }
    }

    var allMappings: [Mapping] {
        mappings + listening.enumerated().map { Mapping($1.descriptor, as: InheritedSocket.first + Int32($0)) }
    }

    private func withRequest<Result>(_ body: (inout pouch_spawn_request) -> Result) -> Result {
        let arguments = CStrings([name] + self.arguments)
        var variables = fullEnvironment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        // Twelve bytes of room for the digits.
        if !listening.isEmpty { variables.append("LISTEN_PID=000000000000") }
        let environment = CStrings(variables)
        let digits = listening.isEmpty ? nil : environment.last.map { $0 + "LISTEN_PID=".utf8.count }
        let from = allMappings.map(\.ours)
        let to = allMappings.map(\.theirs)
        let groups: [gid_t] = identity?.groups ?? []
        return program.withCString { path in
            withOptionalCString(directory) { directory in
                from.withUnsafeBufferPointer { from in
                    to.withUnsafeBufferPointer { to in
                        groups.withUnsafeBufferPointer { groups in
                            var request = pouch_spawn_request(
                                path: path, argv: arguments.pointers, envp: environment.pointers, pid_digits: digits,
                                from: from.baseAddress, to: to.baseAddress, pairs: from.count, directory: directory,
                                group: groupCode, set_identity: identity == nil ? 0 : 1, uid: identity?.uid ?? 0,
                                gid: identity?.gid ?? 0, groups: groups.baseAddress, group_count: groups.count,
                                death_signal: deathSignal?.number ?? 0)
                            return withExtendedLifetime((arguments, environment)) { body(&request) }
                        }
                    }
                }
            }
        }
    }

    private var groupCode: Int32 {
        switch grouping {
        case .sameGroup: Int32(POUCH_GROUP_SAME.rawValue)
        case .newGroup: Int32(POUCH_GROUP_NEW.rawValue)
        case .newSession: Int32(POUCH_SESSION_NEW.rawValue)
        }
    }

    private func explain(_ failure: pouch_spawn_failure) -> CommandFailure {
        let cause = Errno(rawValue: failure.error)
        let step = SpawnStep(pouch_spawn_step(UInt32(max(0, failure.step))))
        return CommandFailure(
            step.status,
            "cannot run \(program): \(step.phrase(identity: identity, directory: directory)): \(cause.phrase).")
    }
}

/// The step of starting a child that failed.
private struct SpawnStep {
    private let step: pouch_spawn_step
    init(_ step: pouch_spawn_step) { self.step = step }

    /// 71 says that the machine refused; a program that cannot be executed is a missing system file, 72.
    var status: ExitStatus {
        switch step {
        case POUCH_STEP_EXEC: .osFile
        case POUCH_STEP_GROUPS, POUCH_STEP_GID, POUCH_STEP_UID: .noPermission
        default: .osError
        }
    }

    func phrase(identity: ProcessLaunch.Identity?, directory: String?) -> String {
        switch step {
        case POUCH_STEP_REQUEST: "its descriptors are numbered wrongly"
        case POUCH_STEP_PIPE: "no pipe"
        case POUCH_STEP_FORK: "no new process"
        case POUCH_STEP_GROUP: "no new process group"
        case POUCH_STEP_DESCRIPTORS: "its descriptors cannot be set up"
        case POUCH_STEP_SIGNALS: "its signals cannot be reset"
        case POUCH_STEP_GROUPS: "its groups cannot be set"
        case POUCH_STEP_GID: "its group cannot become \(identity?.gid ?? 0)"
        case POUCH_STEP_UID: "its user cannot become \(identity?.uid ?? 0)"
        case POUCH_STEP_VERIFY: "the kernel did not give it the user and group asked for"
        case POUCH_STEP_DIRECTORY: "its directory \(directory ?? "") cannot be entered"
        case POUCH_STEP_DEATH_SIGNAL: "its parent is gone"
        default: "it cannot be executed"
        }
    }
}

/// Strings as execve wants them; they live as long as this object.
private final class CStrings {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointers = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() { pointers.advanced(by: index).initialize(to: strdup(string)) }
        pointers.advanced(by: count).initialize(to: nil)
    }

    var last: UnsafeMutablePointer<CChar>? { count > 0 ? pointers[count - 1] : nil }

    deinit {
        for index in 0..<count { free(pointers[index]) }
        pointers.deallocate()
    }
}

private func withOptionalCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
    guard let text else { return body(nil) }
    return text.withCString(body)
}
