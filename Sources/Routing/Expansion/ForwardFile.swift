// Owns: what a user's ~/.forward asks for, from its text and what is known of the file and its folder. Refuses: reading
// it, which the agent does as that user; acting on it.

import MailModel

/// What was found where a user's ~/.forward would be. Links are followed before: the facts are those of the open file.
public struct ForwardFacts: Hashable, Sendable {
    /// What a folder or a file says of who may change it.
    public struct Access: Hashable, Sendable {
        public var owner: UInt32
        /// The permission bits, sticky bit included.
        public var mode: UInt32
        public init(owner: UInt32, mode: UInt32) { (self.owner, self.mode) = (owner, mode) }
    }
    public enum File: Hashable, Sendable {
        case missing
        case regular(Access)
        /// A FIFO, a device, a folder.
        case other
        /// There, but can't be read now: why.
        case unreadable(String)
    }
    public var home: Access
    public var file: File
    public init(home: Access, file: File) { (self.home, self.file) = (home, file) }
}

/// Where a user's mail goes.
public struct ForwardPlan: Hashable, Sendable {
    /// Whether the user's own mailbox gets a copy, too.
    public var keepsHere = false
    /// Each once, in the order of the file.
    public var addresses: [Mailbox] = []
    public var files: [String] = []
    public var commands: [String] = []
}

public enum ForwardOutcome: Hashable, Sendable {
    /// No file, or nothing in it: mail goes to the mailbox.
    case none
    case plan(ForwardPlan)
    /// What the sender is told, for now or for good; nothing is delivered.
    case refused(AliasError)
}

/// The rules of forward(5).
public struct ForwardFile: Sendable {
    /// Octets of a file.
    public static let sizeLimit = 64 << 10
    /// Copies that one user may have made of one message.
    public static let targetLimit = 100

    /// Whose file it is.
    private let user: String
    private let uid: UInt32
    /// The address that is delivered to.
    private let recipient: Mailbox
    private let delimiter: Character

    public init(user: String, uid: UInt32, recipient: Mailbox, delimiter: Character = "+") {
        (self.user, self.uid, self.recipient, self.delimiter) = (user, uid, recipient, delimiter)
    }

    /// Whether the file may be read; nil when it may, else how the delivery goes on without it.
    ///
    /// A user who edits sets the sticky bit of the home meanwhile: mail waits then.
    public func check(_ facts: ForwardFacts) -> ForwardOutcome? {
        guard facts.home.mode & 0o1000 == 0 else {
            return wait("the home of \(user) has the sticky bit set: its .forward is being changed")
        }
        switch facts.file {
        case .missing: return ForwardOutcome.none
        case .unreadable(let why): return wait("the .forward of \(user) can't be read: \(why)")
        case .other: return refuse("the .forward of \(user) is no regular file")
        case .regular(let file):
            guard file.owner == uid else { return refuse("the .forward of \(user) belongs to somebody else") }
            guard file.mode & 0o022 == 0 else { return refuse("others than \(user) may change the .forward") }
            guard facts.home.owner == uid || facts.home.owner == 0, facts.home.mode & 0o022 == 0 else {
                return refuse("others than \(user) may change the home, and so the .forward")
            }
            return nil
        }
    }

    /// Reads the text of a file that `check` has nothing against.
    public func plan(_ text: String) -> ForwardOutcome {
        guard text.utf8.count <= Self.sizeLimit else {
            return wait("the .forward of \(user) is longer than \(Self.sizeLimit >> 10) KiB")
        }
        var plan = ForwardPlan()
        var count = 0
        let source = SourceText(path: "", text: text)
        for number in 1...source.lineCount {
            let line = source.line(number)
            guard let start = line.firstIndex(where: { $0 != " " && $0 != "\t" }), line[start] != "#" else { continue }
            let targets: [AliasTarget]
            do { targets = try AliasValue.parse(Self.withoutBackslash(line[start...])) } catch {
                return wait("line \(number) of the .forward of \(user): \(error.sentence)")
            }
            count += targets.count
            guard count <= Self.targetLimit else {
                return refuse("the .forward of \(user) has more than \(Self.targetLimit) targets")
            }
            for target in targets {
                if let refusal = add(target, line: number, to: &plan) { return refusal }
            }
        }
        return count == 0 ? .none : .plan(plan)
    }

    /// `\fred` is an old way to write "fred, and no aliases": that is what a user's own name means here anyway.
    private static func withoutBackslash(_ line: Substring) -> String {
        String(line.first == "\\" ? line.dropFirst() : line).replacing(", \\", with: ", ")
    }

    /// - Returns: the end of it all, when the target is one.
    private func add(_ target: AliasTarget, line: Int, to plan: inout ForwardPlan) -> ForwardOutcome? {
        func once<Value: Equatable>(_ value: Value, _ list: inout [Value]) {
            if !list.contains(value) { list.append(value) }
        }
        switch target {
        case .error(let error): return .refused(error)
        case .include:
            return refuse("line \(line) of the .forward of \(user): :include: is for aliases alone")
        case .command(let command):
            guard uid != 0 else { return refuse("line \(line) of the .forward of \(user): root runs no commands") }
            once(command, &plan.commands)
        case .file(let path): once(path, &plan.files)
        case .user(let name):
            if isOwn(name) { plan.keepsHere = true; return nil }
            guard let mailbox = Mailbox(localPart: name, domain: recipient.domain) else {
                return wait("line \(line) of the .forward of \(user): \(name) makes no address here")
            }
            once(mailbox, &plan.addresses)
        case .address(let mailbox):
            // An address that names itself: sending it on would come back here.
            let isHere = mailbox.domain.lowercased() == recipient.domain.lowercased()
            if isHere, isOwn(mailbox.localPart) || mailbox.localPart == recipient.localPart {
                plan.keepsHere = true
            } else {
                once(mailbox, &plan.addresses)
            }
        }
        return nil
    }

    private func isOwn(_ name: String) -> Bool {
        let name = name.lowercased()
        let base = name.firstIndex(of: delimiter).map { $0 == name.startIndex ? name : String(name[..<$0]) } ?? name
        return name == user.lowercased() || base == user.lowercased()
    }

    // MARK: Refusals

    /// RFC 3463 X.3.5: system incorrectly configured. What the user can mend keeps mail waiting.
    private func wait(_ why: String) -> ForwardOutcome {
        .refused(AliasError(code: 451, status: EnhancedStatusCode(4, 3, 5), plain: why))
    }

    private func refuse(_ why: String) -> ForwardOutcome {
        .refused(AliasError(code: 550, status: EnhancedStatusCode(5, 3, 5), plain: why))
    }
}
