// Owns: `queue ...`. Refuses: sealing's own words (EncryptionStatement).

extension Parser {
    mutating func parseQueue(_ cursor: inout Cursor) throws(ConfigurationError) {
        let start = cursor.position
        cursor.advance()
        if cursor.take("directory") {
            try once("queue directory", at: start)
            configuration.queueDirectory = try cursor.path("the queue")
        } else if cursor.take("ttl") {
            try once("queue ttl", at: start)
            configuration.queueTTL = try cursor.duration()
        } else if cursor.take("compression") {
            try once("queue compression", at: start)
            configuration.queueCompression = true
        } else if cursor.take("encryption") {
            try parseEncryption(&cursor, at: start)
        } else if cursor.take("ledger") {
            try once("queue ledger", at: start)
            let path = try cursor.path("the ledger")
            changeEncryption(at: start) { $0.ledger = path }
        } else {
            throw cursor.unexpected(["directory", "ttl", "compression", "encryption", "ledger"])
        }
    }
}
