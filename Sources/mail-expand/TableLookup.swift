// Owns: `mail-expand lookup`. Refuses: opening tables.

import ArgumentParser
import CommandKit
import Routing

struct TableLookup {
    let router: Router
    let table: String
    let service: TableService
    let key: String
    let json: Bool

    init(_ router: Router, _ arguments: [String], json: Bool) throws {
        guard arguments.count == 3 else { throw ValidationError("lookup takes a table, a service and a key") }
        let names = router.tables.names
        guard names.contains(arguments[0]) else {
            let known = names.isEmpty ? "it defines none" : "it defines " + names.joined(separator: ", ")
            throw CommandFailure(.usage, "table \(arguments[0]) is not defined in the configuration; \(known).")
        }
        guard let service = TableService(rawValue: arguments[1]) else {
            let known = TableService.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure(.usage, "\"\(arguments[1])\" is no service. Services are \(known).")
        }
        (self.router, self.json, self.service) = (router, json, service)
        (table, key) = (arguments[0], arguments[2])
    }

    func run() throws {
        let result: LookupResult<Found<String>>
        do { result = try router.tables.find(key, in: table, service: service) } catch {
            throw CommandFailure(.dataError, error.sentence)
        }
        switch result {
        case .found(let found): try print(found)
        case .notFound: throw CommandFailure(.noUser, "no entry for \"\(key)\" in table \(table).")
        case .temporaryFailure(let why): throw CommandFailure(.temporaryFailure, why)
        }
    }

    private func print(_ found: Found<String>) throws {
        guard json else { return try StandardOutput.write(EscapedText.plain(found.value) + "\n") }
        let value: JSONValue = [
            "table": .string(table), "service": .string(service.rawValue), "key": .string(found.entry.key),
            "value": .string(found.value), "file": found.entry.file.map(JSONValue.string) ?? .null,
            "line": found.entry.line.map { .int(Int64($0)) } ?? .null,
        ]
        try StandardOutput.write(value.rendered + "\n")
    }
}
