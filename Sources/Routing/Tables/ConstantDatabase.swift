// Owns: reading a constant database in Bernstein's cdb format. Refuses: what keys and values mean, trust in any number
// of the file: each is held against the file's size.

/// The file, all numbers being four octets with the lowest first:
///
///     256 pairs (position, slots)      one for each hash table
///     records (key's length, value's length, key, value)
///     hash tables of slots (hash, position of the record; 0 when free)
///
/// A key's hash chooses the table by its lowest eight bits and the first slot by the others; a collision goes to the
/// next slot. Of several records with one key the first counts.
struct ConstantDatabase: Sendable {
    static let headerSize = 2048
    /// More than any writer leaves of one key in a row: it makes tables twice as long as what is in them.
    static let probeLimit = 1 << 16

    /// A number that points nowhere.
    struct Damage: Error {}
    /// The file is no such database; why and what to do, as the end of a sentence.
    struct Foreign: Error { let reason: String }

    private let file: MappedFile
    /// Where the records end: the first of the hash tables.
    private let end: Int

    /// Checks the header, so that a file that was cut off is found out before it is used.
    init(_ file: MappedFile) throws(Foreign) {
        self.file = file
        guard let end = Self.endOfRecords(file) else { throw Foreign(reason: Self.explain(file)) }
        self.end = end
    }

    static func hash(_ key: some Sequence<UInt8>) -> UInt32 {
        key.reduce(5381) { ($0 &<< 5 &+ $0) ^ UInt32($1) }
    }

    /// The value of the first record with that key.
    func value(_ key: [UInt8]) throws(Damage) -> UnsafeRawBufferPointer? {
        let hash = Self.hash(key)
        guard let table = Self.table(Int(hash & 255), file) else { throw Damage() }
        guard table.slots > 0 else { return nil }
        var slot = Int(hash >> 8) % table.slots
        for _ in 0..<min(table.slots, Self.probeLimit) {
            let place = table.position + slot * 8
            guard let found = file.number(at: place), let position = file.number(at: place + 4) else { throw Damage() }
            if position == 0 { return nil }
            if found == hash {
                let record = try record(at: Int(position))
                if record.key.elementsEqual(key) { return record.value }
            }
            slot = slot + 1 == table.slots ? 0 : slot + 1
        }
        guard table.slots <= Self.probeLimit else { throw Damage() }
        return nil
    }

    /// Every record in the order of the file, until `body` returns false.
    func forEach(
        _ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool
    ) throws(Damage) {
        var position = Self.headerSize
        while position < end {
            let record = try record(at: position)
            guard body(record.key, record.value) else { return }
            position += 8 + record.key.count + record.value.count
        }
    }

    private func record(
        at position: Int
    ) throws(Damage) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        guard position >= Self.headerSize, let keyLength = file.number(at: position),
            let valueLength = file.number(at: position + 4),
            let key = file.octets(at: position + 8, count: Int(keyLength)),
            let value = file.octets(at: position + 8 + Int(keyLength), count: Int(valueLength))
        else { throw Damage() }
        return (key, value)
    }

    // MARK: The header

    /// nil when it lies outside of the file.
    private static func table(_ index: Int, _ file: MappedFile) -> (position: Int, slots: Int)? {
        guard let position = file.number(at: index * 8), let slots = file.number(at: index * 8 + 4) else { return nil }
        // Both have 32 bits: nothing overflows 64.
        guard slots == 0 || (Int(position) >= headerSize && Int(position) + Int(slots) * 8 <= file.count) else {
            return nil
        }
        return (Int(position), Int(slots))
    }

    private static func endOfRecords(_ file: MappedFile) -> Int? {
        guard file.count >= headerSize else { return nil }
        var end: Int?
        for index in 0..<256 {
            guard let table = table(index, file) else { return nil }
            if table.slots > 0 { end = min(end ?? table.position, table.position) }
        }
        return end ?? headerSize
    }

    /// Berkeley DB marks its hash and tree files with a number at 12, release 1.85 at 0, in the order of the machine
    /// that wrote it.
    private static func explain(_ file: MappedFile) -> String {
        let marks: Set<UInt32> = [0x0006_1561, 0x0005_3162]
        for place in [12, 0] {
            guard let mark = file.number(at: place), marks.contains(mark) || marks.contains(mark.byteSwapped) else {
                continue
            }
            return "it is a Berkeley DB file, as older mail systems make it. Build it anew from its text with "
                + "newaliases, or mail-expand build SOURCE DATABASE."
        }
        return "it is no constant database (cdb), or it was cut off. Build it anew from its text with newaliases, or "
            + "mail-expand build SOURCE DATABASE."
    }
}
