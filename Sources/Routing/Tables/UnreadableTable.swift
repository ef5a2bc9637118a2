// Owns: the place of a table that its reader may not see. Refuses: passing for an empty one.

struct UnreadableTable: Table {
    let name: String
    let why: String

    func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> { .temporaryFailure(why) }
    func find(network address: IPAddress) -> LookupResult<TableEntry> { .temporaryFailure(why) }
    func find(matching text: String) -> LookupResult<TableEntry> { .temporaryFailure(why) }
    func all() -> LookupResult<[TableEntry]> { .temporaryFailure(why) }
}
