// Owns: `listen on ...`. Refuses: opening sockets, finding out what addresses an interface has.

extension Parser {
    private struct ListenOptions {
        var port: UInt16 = 25
        var hostname: String?
        var tag: String?
        /// inet4 or inet6.
        var family: (isIPv6: Bool, position: Position)?
    }

    private static let listenWords = ["port", "hostname", "tag"]

    mutating func parseListen(_ cursor: inout Cursor) throws(ConfigurationError) {
        cursor.advance()
        guard cursor.take("on") else { throw cursor.unexpected(["on"]) }
        guard cursor.keyword != "socket" else { return try parseSocket(&cursor) }
        let start = cursor.position
        let addresses = try listenAddresses(&cursor)
        var options = ListenOptions()
        var given: Set<String> = []
        while let word = cursor.keyword, !cursor.atEnd {
            guard given.insert(word).inserted else { throw cursor.error("\"\(word)\" stands here twice. Keep one.") }
            try parseOption(word, &cursor, &options)
        }
        guard cursor.atEnd else { throw cursor.unexpected(Self.listenWords) }
        try add(addresses, options, at: start)
    }

    /// When all lines are read.
    func checkListeners() throws(ConfigurationError) {
        var seen: Set<Listener.Place> = []
        for (listener, start) in zip(configuration.listeners, listenerPositions) {
            guard !seen.insert(listener.place).inserted, case .internet(let address, let port) = listener.place else {
                continue
            }
            throw error(at: start, "another line listens on \(address) port \(port) already. Remove one.")
        }
    }

    private mutating func add(
        _ addresses: [String], _ options: ListenOptions, at start: Position
    ) throws(ConfigurationError) {
        var addresses = addresses
        if let family = options.family, !addresses.isEmpty {
            addresses = addresses.filter { $0.contains(":") == family.isIPv6 }
            guard !addresses.isEmpty else {
                let name = family.isIPv6 ? "inet6" : "inet4"
                throw error(at: family.position, "the address of this line is none of \(name). Remove the word.")
            }
        }
        for (index, address) in addresses.enumerated() {
            let place = Listener.Place.internet(address: address, port: options.port)
            listenerPositions.append(start)
            configuration.listeners.append(
                Listener(place: place, hostname: options.hostname, tag: options.tag, mayBeAbsent: index > 0))
        }
    }

    /// An address, or `lo` and `localhost`: 127.0.0.1 and, where the machine has it, ::1. None for what is refused.
    private mutating func listenAddresses(_ cursor: inout Cursor) throws(ConfigurationError) -> [String] {
        let start = cursor.position
        let text = try cursor.word("an address, or lo")
        if ["lo", "lo0", "localhost"].contains(text) { return ["127.0.0.1", "::1"] }
        if IPAddress(text) != nil { return [bareAddress(text)] }
        refuse(
            cursor.unsupported(
                at: start, "listening on a host name or an interface other than lo (here \"\(text.prefix(40))\") is",
                "write the address, such as 192.0.2.1, or 0.0.0.0 and :: for all"))
        return []
    }

    /// `listen on socket [filter N] [mask-src] [no-dsn] [tag T]`.
    private mutating func parseSocket(_ cursor: inout Cursor) throws(ConfigurationError) {
        refuse(cursor.unsupported("listen on socket is", "remove the line; mail-enqueue needs no socket"))
        cursor.advance()
        while !cursor.atEnd {
            switch cursor.keyword {
            case "filter":
                cursor.advance()
                try skipFilterNames(&cursor)
            case "tag":
                cursor.advance()
                _ = try cursor.word("a tag")
            default: try skip(&cursor, oneOf: ["filter", "mask-src", "no-dsn", "tag"])
            }
        }
    }

    private mutating func parseOption(
        _ word: String, _ cursor: inout Cursor, _ options: inout ListenOptions
    ) throws(ConfigurationError) {
        switch word {
        case "port":
            cursor.advance()
            options.port = try listenPort(&cursor)
        case "hostname":
            cursor.advance()
            options.hostname = try cursor.hostname("the host's name")
        case "tag":
            cursor.advance()
            options.tag = try cursor.word("a tag")
        case "inet4", "inet6":
            if options.family != nil { throw cursor.error("a listener has one family. Remove one.") }
            options.family = (word == "inet6", cursor.position)
            cursor.advance()
        default:
            guard let refusal = refusal(word, cursor) else { throw cursor.unexpected(Self.listenWords) }
            refuse(refusal)
            cursor.advance()
            try skipRest(of: word, &cursor)
        }
    }

    private mutating func listenPort(_ cursor: inout Cursor) throws(ConfigurationError) -> UInt16 {
        guard ["smtps", "465"].contains(cursor.current?.text) else { return try cursor.port() }
        refuse(cursor.unsupported("port 465 (implicit TLS) is", "listen on port 587 or 25"))
        cursor.advance()
        return 465
    }

    // MARK: Not supported yet

    private mutating func skipRest(of word: String, _ cursor: inout Cursor) throws(ConfigurationError) {
        switch word {
        case "tls-require": _ = cursor.take("verify")
        case "pki", "ca", "protocols", "ciphers": _ = try cursor.word("a name")
        case "filter": try skipFilterNames(&cursor)
        case "auth", "auth-optional": if cursor.beginsTable { try skipTable(&cursor, .credentials) }
        case "hostnames": try skipTable(&cursor, .addrname)
        case "senders":
            try skipTable(&cursor, .mailaddrmap)
            _ = cursor.take("masquerade")
        default: break
        }
    }

    private mutating func skipTable(_ cursor: inout Cursor, _ service: TableService) throws(ConfigurationError) {
        guard case .named(let name, let position) = try cursor.tableArgument("<table>") else { return }
        tableUses.append(TableUse(name: name, position: position, service: service))
    }

    private func refusal(_ word: String, _ cursor: Cursor) -> ConfigurationError? {
        let remove = "remove \"\(word)\" from the line"
        switch word {
        case "tls", "tls-require", "smtps", "protocols", "ciphers":
            return cursor.unsupported("TLS on listeners (\(word)) is", "\(remove); sessions are then in clear")
        case "pki", "ca": return cursor.unsupported("TLS on listeners (\(word)) is", "\(remove), and the name after it")
        case "auth", "auth-optional":
            return cursor.unsupported("authentication (\(word)) is", "\(remove), and let only trusted networks relay")
        case "received-auth": return cursor.unsupported("authentication (received-auth) is", remove)
        case "filter": return cursor.unsupported("filter is", "\(remove), and the name after it")
        case "hostnames": return cursor.unsupported("hostnames <table> is", "write \"hostname\" and one name")
        case "senders": return cursor.unsupported("senders (which user may send as whom) is", remove)
        case "mask-src": return cursor.unsupported("mask-src is", "\(remove); Received lines name the client")
        case "no-dsn": return cursor.unsupported("no-dsn is", "\(remove); the DSN extension is not offered anyway")
        case "proxy-v2": return cursor.unsupported("proxy-v2 is", "\(remove); the balancer must not send that header")
        default: return nil
        }
    }
}
