// Owns: `mail-expand build`: which texts become which databases, and what is said of it. Refuses: reading and writing
// them (DatabaseBuild).

import ArgumentParser
import CommandKit
import Glibc
import Routing
import SystemPackage

struct TableBuild {
    private struct Job {
        var source: String
        var destination: String
        var services: Set<TableService>
    }
    private let jobs: [Job]
    private let json: Bool
    /// What is said when there is no job.
    private let name: String

    /// - Parameter arguments: a text and its database; or none, for all databases of the configuration.
    init(file: String?, _ arguments: [String], json: Bool) throws {
        self.json = json
        switch arguments.count {
        case 0:
            let configuration = try Self.configuration(file)
            name = configuration.path ?? "the built-in configuration"
            jobs = try Self.jobs(of: configuration)
        case 2:
            name = ""
            let services = try Self.services(of: arguments[1], file)
            jobs = [Job(source: arguments[0], destination: arguments[1], services: services)]
        default:
            throw ValidationError("build takes a text and its database, or nothing for all of the configuration's")
        }
    }

    func run() throws {
        guard !jobs.isEmpty else {
            let words = "nothing to build: \(name) has no db table, and texts are read again when they change\n"
            return try StandardOutput.write(json ? "" : words)
        }
        var first: ExitStatus?
        for job in jobs {
            switch Self.build(job) {
            case .success(let count): try tell(job, count)
            case .failure(let failure):
                let status = say(failure)
                first = first ?? status
            }
        }
        if let first { throw QuietExit(first) }
    }

    private static func build(_ job: Job) -> Result<Int, DatabaseBuild.Failure> {
        Result { () throws(DatabaseBuild.Failure) in
            try DatabaseBuild.run(source: job.source, destination: job.destination, services: job.services)
        }
    }

    private func tell(_ job: Job, _ count: Int) throws {
        guard json else {
            let entries = count == 1 ? "1 entry" : "\(count) entries"
            return try StandardOutput.write(EscapedText.plain("\(job.destination): \(entries)") + "\n")
        }
        let value: JSONValue = [
            "database": .string(job.destination), "source": .string(job.source), "entries": .int(Int64(count)),
        ]
        try StandardOutput.write(value.rendered + "\n")
    }

    private func say(_ failure: DatabaseBuild.Failure) -> ExitStatus {
        switch failure {
        case .unreadable(let sentence):
            Diagnostic.print(sentence)
            return .noInput
        case .malformed(let error):
            Diagnostic.print(lines: error.lines)
            return .dataError
        case .unwritable(let path, let cause):
            let isForbidden = [.permissionDenied, .notPermitted, .readOnlyFileSystem].contains(cause)
            Diagnostic.print(
                "cannot write \(path): \(cause.phrase)." + (isForbidden ? " Run as the owner of its folder." : ""))
            return isForbidden ? .noPermission : cause == .noSpace || cause == .ioError ? .ioError : .cannotCreate
        }
    }

    // MARK: What the configuration says

    private static func configuration(_ file: String?) throws -> Configuration {
        do throws(ConfigurationError) { return try Configuration.locate(option: file).configuration } catch {
            Diagnostic.print(lines: error.lines)
            throw QuietExit(.configuration)
        }
    }

    /// By OpenSMTPD's convention the text of `PATH.db` is `PATH`.
    private static func jobs(of configuration: Configuration) throws -> [Job] {
        let services = configuration.tableServices
        var jobs: [String: Job] = [:]
        for (name, definition) in configuration.tables.sorted(by: { $0.key < $1.key }) {
            guard case .database(let path) = definition else { continue }
            guard path.hasSuffix(".db"), !path.hasSuffix("/.db") else {
                throw CommandFailure(
                    .configuration,
                    "table \(name): the name of \(path) does not end in .db, so its text is not known. Build it with "
                        + "mail-expand build SOURCE \(path).")
            }
            let job = Job(source: String(path.dropLast(3)), destination: path, services: [])
            jobs[path, default: job].services.formUnion(services[name] ?? [])
        }
        return jobs.values.sorted { $0.destination < $1.destination }
    }

    /// What the configuration uses that database for. Whoever may not read the configuration can build all the same.
    private static func services(of destination: String, _ file: String?) throws -> Set<TableService> {
        let configuration: Configuration
        do throws(ConfigurationError) { configuration = try Configuration.locate(option: file).configuration } catch {
            guard file == nil else {
                Diagnostic.print(lines: error.lines)
                throw QuietExit(.configuration)
            }
            Diagnostic.print("the values are not checked, as the configuration can't be read: \(error.lines[0])")
            return []
        }
        let place = resolved(destination)
        let services = configuration.tableServices
        return configuration.tables.reduce(into: []) { result, table in
            guard case .database(let path) = table.value, resolved(path) == place else { return }
            result.formUnion(services[table.key] ?? [])
        }
    }

    /// The path with its folder's links followed; the file itself need not exist.
    private static func resolved(_ path: String) -> String {
        let slash = path.lastIndex(of: "/")
        let folder = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        guard let real = realpath(folder, nil) else { return path }
        defer { free(real) }
        let name = slash.map { path[path.index(after: $0)...] } ?? path[...]
        let base = String(cString: real)
        return base == "/" ? "/\(name)" : "\(base)/\(name)"
    }
}
