// Owns: the two steps of a start that other libraries do: reading the configuration and laying out the spool.
// Refuses: any knowledge of how they do it.

import CommandKit
import Routing

enum Preparation {
    /// `-C FILE`, `$POUCH_CONF`, /etc/pouch/pouch.conf, then the built-in default.
    /// - Throws: 78 with file, line and cure.
    static func loadConfiguration(_ file: String?) throws -> Configuration {
        throw CommandFailure(.software, "cannot read the configuration: the reader is not joined yet.")
    }

    /// Creates what is missing of the spool and verifies owners and modes of what is there.
    static func prepareSpool(_ configuration: Configuration, users: ServiceUsers) throws {
        throw CommandFailure(.software, "cannot prepare \(configuration.queueDirectory): the queue is not joined yet.")
    }

    /// The same without changing anything; for `-n`.
    static func checkSpool(_ configuration: Configuration, users: ServiceUsers) throws {
        throw CommandFailure(.software, "cannot check \(configuration.queueDirectory): the queue is not joined yet.")
    }
}
