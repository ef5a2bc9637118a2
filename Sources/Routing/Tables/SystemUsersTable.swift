// Owns: the system's accounts as a table, `getpwnam`: users to `uid:gid:/home`. Refuses: being any other table.

public struct SystemUsersTable: Table {
    public let name: String
    private let users: @Sendable (String) -> LookupResult<UserInfo>

    public init(name: String, users: @escaping @Sendable (String) -> LookupResult<UserInfo> = SystemUsers.lookUp) {
        (self.name, self.users) = (name, users)
    }

    public func find(_ key: String, for service: TableService) -> LookupResult<TableEntry> {
        guard service == .userinfo else {
            return .temporaryFailure("the system's users serve userinfo alone, and not \(service.rawValue)")
        }
        return find(key, folding: false)
    }

    public func find(_ key: String, folding: Bool) -> LookupResult<TableEntry> {
        users(key).map { TableEntry(table: name, key: key, value: "\($0.uid):\($0.gid):\($0.home)") }
    }

    public func find(network address: IPAddress) -> LookupResult<TableEntry> { find("", for: .netaddr) }
    public func find(matching text: String) -> LookupResult<TableEntry> { find("", for: .regex) }
    public func all() -> LookupResult<[TableEntry]> { find("", for: .source).map { [$0] } }
}
