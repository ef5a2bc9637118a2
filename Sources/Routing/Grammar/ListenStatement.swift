// Owns: `listen on ...`. Refuses: opening sockets, finding out what addresses an interface has.

extension Parser {
    private struct ListenOptions {
        var port: UInt16 = 25
        var hostname: String?
        var tag: String?
    }

    mutating func parseListen(_ cursor: inout Cursor) throws(ConfigurationError) {
        cursor.advance()
        guard cursor.take("on") else { throw cursor.unexpected(["on"]) }
        let start = cursor.position
        let addresses = try listenAddresses(&cursor)
        var options = ListenOptions()
        var given: Set<String> = []
        while let word = cursor.keyword, !cursor.atEnd {
            guard given.insert(word).inserted else { throw cursor.error("\"\(word)\" stands here twice. Keep one.") }
            try parseOption(word, &cursor, &options)
        }
        guard cursor.atEnd else { throw cursor.unexpected(["port", "hostname", "tag"]) }
        for (index, address) in addresses.enumerated() {
            let place = Listener.Place.internet(address: address, port: options.port)
            guard !configuration.listeners.contains(where: { $0.place == place }) else {
                throw error(at: start, "another line listens on \(address) port \(options.port) already. Remove one.")
            }
            configuration.listeners.append(
                Listener(place: place, hostname: options.hostname, tag: options.tag, mayBeAbsent: index > 0))
        }
    }

    /// An address, or `lo` and `localhost`: 127.0.0.1 and, where the machine has it, ::1.
    private func listenAddresses(_ cursor: inout Cursor) throws(ConfigurationError) -> [String] {
        let start = cursor.position
        let text = try cursor.word("an address, or lo")
        switch text {
        case "lo", "lo0", "localhost": return ["127.0.0.1", "::1"]
        case "socket":
            throw cursor.unsupported(at: start, "listen on socket is", "remove the line; mail-enqueue needs no socket")
        default: break
        }
        if IPAddress(text) != nil { return [bareAddress(text)] }
        throw cursor.unsupported(
            at: start, "listening on a host name or an interface other than lo (here \"\(text.prefix(40))\") is",
            "write the address, such as 192.0.2.1, or 0.0.0.0 and :: for all")
    }

    private func parseOption(
        _ word: String, _ cursor: inout Cursor, _ options: inout ListenOptions
    ) throws(ConfigurationError) {
        if let wrong = unsupportedOption(word, cursor) { throw wrong }
        switch word {
        case "port":
            cursor.advance()
            if cursor.keyword == "smtps" || cursor.keyword == "465" {
                throw cursor.unsupported("port 465 (implicit TLS) is", "listen on port 587 or 25")
            }
            options.port = try cursor.port()
        case "hostname":
            cursor.advance()
            options.hostname = try cursor.hostname("the host's name")
        case "tag":
            cursor.advance()
            options.tag = try cursor.word("a tag")
        default: throw cursor.unexpected(["port", "hostname", "tag"])
        }
    }

    private func unsupportedOption(_ word: String, _ cursor: Cursor) -> ConfigurationError? {
        let remove = "remove \"\(word)\" from the line"
        switch word {
        case "tls", "tls-require", "smtps", "verify", "protocols", "ciphers":
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
