// Owns: what is said of sealed mail that can't be opened here. Refuses: guessing what is in it.

import CommandKit
import MailModel
import QueueKit

extension HiddenMail {
    /// For a person, in two lines of at most 80 columns.
    func lines(now: Timestamp) -> [String] {
        let count = messages == 1 ? "1 sealed message is" : "\(messages) sealed messages are"
        let ages = [oldest, newest].compactMap { $0.map { ListTable.shortAge(now.since($0)) } }
        let age = Set(ages).count == 1 ? ages[0] : ages.joined(separator: " to ")
        return [
            "\(count) not shown: \(ListTable.size(octets)) as stored, in files \(age) old.",
            "Delivered ones not yet freed are among them. It takes the key \(keyList).",
        ]
    }

    private var keyList: String { keys.map(\.description).sorted().joined(separator: " or ") }

    var json: JSONValue {
        [
            "hidden": .int(Int64(messages)),
            "octets": .int(octets),
            "oldest": oldest.map { .string($0.iso8601) } ?? .null,
            "newest": newest.map { .string($0.iso8601) } ?? .null,
            "keys": .array(keys.map(\.description).sorted().map { .string($0) }),
        ]
    }

    /// For whoever asked for one message.
    var explanation: String {
        "no message that can be read here has this queue ID, and \(messages) sealed "
            + "\(messages == 1 ? "one needs" : "ones need") the key \(keyList). Run this as who may read spool.key and "
            + "the passphrase."
    }
}
