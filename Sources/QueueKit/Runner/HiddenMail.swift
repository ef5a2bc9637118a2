// Owns: what a look without the right key still sees of sealed mail. Refuses: guessing: what is final already is
// written in journals that are sealed too, so all that stands in a segment is counted.

import MailModel

/// Sealed mail that a snapshot could not open, added up from header fields that stand in clear.
public struct HiddenMail: Hashable, Sendable {
    /// Messages in files that can't be opened, delivered ones of segments not yet freed among them.
    public private(set) var messages = 0
    /// As stored, sealed and perhaps compressed, envelopes included.
    public private(set) var octets: Int64 = 0
    /// When the oldest and the newest of the files were begun.
    public private(set) var oldest: Timestamp?
    public private(set) var newest: Timestamp?
    /// The keys that would open them.
    public private(set) var keys: Set<KeyID> = []

    public var isEmpty: Bool { messages == 0 }

    mutating func add(_ outline: SegmentOutline, _ header: SegmentHeader) {
        guard outline.messages > 0 else { return }
        messages += outline.messages
        octets += outline.octets
        oldest = min(oldest ?? header.created, header.created)
        newest = max(newest ?? header.created, header.created)
        keys.insert(KeyID(rawValue: header.keyID))
    }
}
