// Owns: tables answered by a real program, well and badly. Refuses: services (ServiceProductTests).

import Glibc
import Synchronization
import Testing

@testable import Routing

/// The fixture's program over a text.
func programTable(
    _ text: String, in folder: Folder, name: String = "t", timeout: Duration = .seconds(20),
    report: @escaping @Sendable (String) -> Void = { _ in }
) throws -> ProgramTable {
    let path = folder.write(text, to: "text")
    // The folder of the sources may be another's, whose programs root does not run.
    let script = folder.write(Array(try Fixture.text("programs/table.py").utf8), to: "table.py", mode: 0o755)
    return try ProgramTable(
        name: name, program: .command(path: script, arguments: [path]), timeout: timeout, report: report)
}

@Suite struct ProgramTableTests {
    private func failure(_ table: ProgramTable, _ key: String) -> String? {
        if case .temporaryFailure(let why) = table.find(key, for: .alias) { why } else { nil }
    }

    private func value(_ table: ProgramTable, _ key: String) -> String? {
        if case .found(let entry) = table.find(key, for: .alias) { entry.value } else { nil }
    }

    @Test func itAnswersAndMistakesCostOneLookup() throws {
        let folder = Folder()
        let said = Mutex<[String]>([])
        let table = try programTable("root fred\npipe a|b\n", in: folder) { text in said.withLock { $0.append(text) } }
        #expect(value(table, "root") == "fred" && table.find("none", for: .alias) == .notFound)
        #expect(value(table, "pipe") == "a|b")
        #expect(failure(table, "error") == "its program reports an error: the directory is closed")
        for key in ["garbage", "other", "binary"] {
            #expect(failure(table, key) != nil, "\(key)")
            #expect(value(table, "root") == "fred")
        }
        #expect(value(table, "twice") == "fred" && value(table, "root") == "fred")
        #expect(value(table, "two writes") == "fred")
        #expect(failure(table, "die") == "its program ended with status 3")
        #expect(value(table, "root") == "fred")
        // Once each: a line that is no answer, and the end.
        #expect(said.withLock { $0.count } == 2, "\(said.withLock { $0 })")
    }

    @Test func oneWithoutLineEndsIsEnded() throws {
        let folder = Folder()
        let table = try programTable("root fred\n", in: folder)
        #expect(failure(table, "long") == "its program wrote a line without end")
        #expect(value(table, "root") == "fred")
    }

    @Test func aLookupThatTakesTooLongIsTemporary() throws {
        let folder = Folder()
        let table = try programTable("root fred\n", in: folder, timeout: .milliseconds(400))
        // The interpreter may need longer than that to start on a busy machine.
        for _ in 0..<100 where value(table, "root") == nil {}
        #expect(failure(table, "late")?.hasPrefix("its program ") == true)
        // Its answer arrives while others are waited for.
        for _ in 0..<100 where value(table, "root") == nil {}
        #expect(value(table, "root") == "fred")
    }

    @Test func aHangingTableHoldsUpNoOther() throws {
        let (first, second) = (Folder(), Folder())
        let hanging = try programTable("root fred\n", in: first, name: "hanging")
        let table = try programTable("root fred\n", in: second)
        let answered = Mutex(false)
        hanging.ask(.key("hang", .alias)) { _ in answered.withLock { $0 = true } }
        for _ in 0..<50 { #expect(value(table, "root") == "fred") }
        #expect(!answered.withLock { $0 })
    }

    @Test func aProgramEndsWithItsTable() throws {
        let folder = Folder()
        let ended = Mutex(false)
        do {
            let table = try programTable("root fred\n", in: folder)
            #expect(value(table, "root") == "fred")
            table.ask(.key("hang", .alias)) { outcome in
                if case .temporaryFailure = outcome { ended.withLock { $0 = true } }
            }
        }
        // Whoever waits is told when the program is gone, although it sleeps.
        for _ in 0..<2000 where !ended.withLock({ $0 }) { poll(nil, 0, 5) }
        #expect(ended.withLock { $0 })
    }

    @Test(arguments: ["/nonexistent/program", "/etc/passwd", "/tmp"])
    func whatCannotBeExecuted(path: String) {
        #expect(throws: ConfigurationError.self) {
            try ProgramTable(name: "t", program: .command(path: path, arguments: [])) { _ in }
        }
    }

    @Test func rootRunsNothingThatOthersMayChange() {
        let folder = Folder()
        let script = folder.write(Array("#!/bin/sh\n".utf8), to: "script", mode: 0o777)
        guard geteuid() == 0 else { return }
        #expect(throws: UnreadableFile.self) { try TableProgram.command(path: script, arguments: []).resolve() }
    }

    @Test func typesAreProgramsOfTheFolders() throws {
        let folder = Folder()
        let script = folder.write(Array("#!/bin/sh\n".utf8), to: "table-ldap", mode: 0o755)
        let folders = ["/nonexistent", folder.path]
        let found = try TableProgram.type("ldap", configuration: "/etc/ldap.conf").resolve(in: folders)
        #expect(found.path == script && found.arguments == ["/etc/ldap.conf"])
        do {
            _ = try TableProgram.type("sql", configuration: "x").resolve(in: folders)
            Issue.record("found")
        } catch {
            #expect(error.reason.contains("there is no program table-sql in /nonexistent, "))
        }
    }

    @Test func oneThatCannotStartIsTemporary() throws {
        let folder = Folder()
        let script = folder.write(Array("#!/nonexistent/interpreter\n".utf8), to: "script", mode: 0o755)
        let table = try ProgramTable(name: "t", program: .command(path: script, arguments: [])) { _ in }
        for _ in 0..<3 { #expect(failure(table, "root") != nil) }
    }
}
