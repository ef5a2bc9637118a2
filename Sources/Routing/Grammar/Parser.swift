// Owns: going through statements in order, macros, includes, and what must be remembered until all is read. Refuses:
// the statements themselves (one file each), files (they come through a closure), checks across statements
// (CrossCheck).

/// Why a file could not be had, as the end of a sentence: `permission denied`.
public struct UnreadableFile: Error, Hashable, Sendable {
    public let reason: String
    public init(_ reason: String) { self.reason = reason }
}

extension Configuration {
    /// Reads a whole configuration.
    /// - Parameters:
    ///   - path: the name for errors; relative includes are sought in its folder.
    ///   - facts: what defaults depend on.
    ///   - readInclude: gives the text of an included file.
    /// - Throws: the first mistake.
    public static func parse(
        text: String, path: String, facts: EnvironmentFacts = EnvironmentFacts(uid: 0),
        readInclude: @escaping (String) throws(UnreadableFile) -> String
    ) throws(ConfigurationError) -> Configuration {
        let (configuration, refusals) = try read(text: text, path: path, facts: facts, readInclude: readInclude)
        guard let first = refusals.first else { return configuration }
        throw first.followed(by: refusals.dropFirst())
    }

    /// Reads a whole configuration, and tells apart what is wrong in it and what is right but not supported.
    /// - Returns: the configuration, which means what it says only when nothing is refused, and what is, in order.
    static func read(
        text: String, path: String, facts: EnvironmentFacts,
        readInclude: @escaping (String) throws(UnreadableFile) -> String
    ) throws(ConfigurationError) -> (Configuration, refusals: [ConfigurationError]) {
        var parser = Parser(path: path, facts: facts, readInclude: readInclude)
        try parser.parseFile(path: path, text: text)
        // What is not supported may leave gaps that later checks would take for mistakes.
        return (parser.refusals.isEmpty ? try parser.finish() : parser.configuration, parser.refusals)
    }
}

struct Parser {
    static let includeDepthLimit = 16
    /// Files altogether; two includes in each of sixteen levels would be 65,536.
    static let includeCountLimit = 256

    let facts: EnvironmentFacts
    let readInclude: (String) throws(UnreadableFile) -> String
    var configuration: Configuration
    var macros: [String: String] = [:]
    var macroPlaces: [String: (start: Position, end: Position)] = [:]
    /// The first line about sealing.
    var firstEncryption: Position?
    var sources: [SourceText] = []
    private var includeStack: [String] = []

    /// Statements that may stand once, with the place where they do.
    private var said: [String: Position] = [:]
    var tablePositions: [String: TablePlaces] = [:]
    var actionPositions: [String: Position] = [:]
    /// Of each listener.
    var listenerPositions: [Position] = []
    var tableUses: [TableUse] = []
    var actionUses: [(name: String, position: Position)] = []
    var listTables: [PendingList] = []
    /// What is well formed and not supported: all of it is told at once, when no mistake stands in its way.
    private(set) var refusals: [ConfigurationError] = []

    struct TablePlaces {
        var name: Position
        var entries: [Position]
    }

    /// A table used somewhere, to be checked when all tables are known.
    struct TableUse {
        var name: String
        var position: Position
        var service: TableService
    }

    /// A list that goes into an action when all tables are known.
    struct PendingList {
        enum Goal { case hosts, sources }
        var action: String
        var goal: Goal
        var table: String
        var position: Position
    }

    init(
        path: String, facts: EnvironmentFacts, readInclude: @escaping (String) throws(UnreadableFile) -> String
    ) {
        (self.facts, self.readInclude) = (facts, readInclude)
        configuration = Configuration(queueDirectory: facts.defaultQueueDirectory, agentSocket: "")
        configuration.path = path
        if !facts.isRoot { configuration.superviseUsers = .none }
    }

    mutating func parseFile(path: String, text: String) throws(ConfigurationError) {
        let source = SourceText(path: path, text: text)
        let index = sources.count
        sources.append(source)
        includeStack.append(path)
        var lexer = Lexer(source, fileIndex: index)
        while let statement = try lexer.next(macros: macros) {
            var cursor = Cursor(statement, in: source)
            try parse(&cursor)
            try cursor.expectEnd()
        }
        includeStack.removeLast()
    }

    /// Statements in the order of pouch.conf(5).
    static let statements = [
        "action", "agent", "bounce", "include", "listen", "log", "match", "mta", "queue", "resolver", "smtp",
        "supervise", "table",
    ]

    private mutating func parse(_ cursor: inout Cursor) throws(ConfigurationError) {
        if cursor.current?.text != nil, cursor.following?.kind == .equals { return try parseMacro(&cursor) }
        switch cursor.keyword {
        case "action": try parseAction(&cursor)
        case "agent": try parseAgent(&cursor)
        case "bounce": try parseBounce(&cursor)
        case "include": try parseInclude(&cursor)
        case "listen": try parseListen(&cursor)
        case "log": try parseLog(&cursor)
        case "match": try parseMatch(&cursor)
        case "mta": try parseMTA(&cursor)
        case "queue": try parseQueue(&cursor)
        case "resolver": try parseResolver(&cursor)
        case "smtp": try parseSMTP(&cursor)
        case "supervise": try parseSupervise(&cursor)
        case "table": try parseTable(&cursor)
        // Read to their ends, and refused.
        case "admd": try parseAdmd(&cursor)
        case "ca": try parseCA(&cursor)
        case "filter": try parseFilter(&cursor)
        case "mda": try parseMDA(&cursor)
        case "pki": try parsePKI(&cursor)
        case "proc": try parseProc(&cursor)
        case "scheduler": try parseScheduler(&cursor)
        case "srs": try parseSRS(&cursor)
        default: throw unknownStatement(cursor)
        }
    }

    private func unknownStatement(_ cursor: Cursor) -> ConfigurationError {
        let old = ["accept", "deliver", "reject", "expire", "limit", "bounce-warn", "max-message-size", "compression"]
        guard old.contains(cursor.keyword ?? "") else { return cursor.unexpected(Self.statements) }
        return cursor.error(
            "\(cursor.current?.shown ?? "") begins a line in the grammar before OpenSMTPD 6.4. Write \"action\" and "
                + "\"match\" lines as in pouch.conf(5).")
    }

    // MARK: Macros and includes

    /// `name = "value"`; several words become one value with a blank between them.
    private mutating func parseMacro(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        let name = try cursor.word("a macro's name")
        guard !name.isEmpty, name.utf8.allSatisfy(Lexer.isNameByte) else {
            throw cursor.error(at: start, "a macro's name has only letters, digits and underscores.")
        }
        cursor.advance()
        var words: [String] = []
        repeat {
            guard let text = cursor.current?.text else { throw cursor.missing("the value of macro \(name), in quotes") }
            words.append(text)
            cursor.advance()
        } while !cursor.atEnd
        let value = words.joined(separator: " ")
        guard value.utf8.count <= Lexer.macroValueLimit else {
            throw cursor.error(at: start, "the macro is longer than \(Lexer.macroValueLimit) octets. Use a table.")
        }
        macros[name] = value
        macroPlaces[name] = (start, cursor.end)
    }

    private mutating func parseInclude(_ cursor: inout Cursor) throws(ConfigurationError) {
        cursor.advance()
        let start = cursor.position
        let name = try cursor.word("the file to include, in quotes")
        try cursor.expectEnd()
        let path = name.hasPrefix("/") ? name : folder(of: includeStack.last ?? "") + name
        if includeStack.contains(path) {
            let circle = (includeStack.drop { $0 != path } + [path]).joined(separator: " -> ")
            throw cursor.error(at: start, "the file includes itself: \(circle). Remove one of the includes.")
        }
        guard includeStack.count < Self.includeDepthLimit else {
            throw cursor.error(at: start, "includes are nested deeper than \(Self.includeDepthLimit). Join some files.")
        }
        guard sources.count < Self.includeCountLimit else {
            throw cursor.error(at: start, "more than \(Self.includeCountLimit) files are included. Join some files.")
        }
        let text: String
        do { text = try readInclude(path) } catch {
            throw cursor.error(at: start, "cannot read the included file \(path): \(error.reason)")
        }
        try parseFile(path: path, text: text)
    }

    private func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    }

    // MARK: Helpers of the statements

    /// Notes something that is not supported; reading goes on behind it.
    mutating func refuse(_ error: ConfigurationError) { refusals.append(error) }

    /// Refuses a statement that was made before.
    mutating func once(_ statement: String, at position: Position) throws(ConfigurationError) {
        if let first = said[statement] {
            throw error(at: position, "\"\(statement)\" stands here again; first in \(place(first)). Keep one.")
        }
        said[statement] = position
    }

    func hasSaid(_ statement: String) -> Bool { said[statement] != nil }

    func error(at position: Position, _ message: String) -> ConfigurationError {
        sources[position.file].error(at: position, message)
    }

    /// `line 7`, or `line 7 of /etc/pouch/more.conf` in another file than the first.
    func place(_ position: Position) -> String {
        position.file == 0 ? "line \(position.line)" : "line \(position.line) of \(sources[position.file].path)"
    }
}
