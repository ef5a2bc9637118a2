// Owns: the octets of a new constant database (see ConstantDatabase for the format). Refuses: files.

struct ConstantDatabaseWriter {
    /// Positions have 32 bits.
    struct TooLong: Error {}

    /// The header is filled in at the end.
    private var bytes = [UInt8](repeating: 0, count: ConstantDatabase.headerSize)
    private var tables = [[Slot]](repeating: [], count: 256)
    private(set) var count = 0

    private struct Slot {
        var hash: UInt32
        /// Of the record; 0 when the slot is free.
        var position: UInt32
    }

    /// Of several records with one key, readers take the first.
    mutating func add(_ key: some Collection<UInt8>, _ value: some Collection<UInt8>) throws(TooLong) {
        // Each record costs two slots of eight octets besides its own eight.
        guard bytes.count + key.count + value.count + 24 * (count + 1) < Int(UInt32.max) else { throw TooLong() }
        let hash = ConstantDatabase.hash(key)
        tables[Int(hash & 255)].append(Slot(hash: hash, position: UInt32(bytes.count)))
        append(UInt32(key.count))
        append(UInt32(value.count))
        bytes += key
        bytes += value
        count += 1
    }

    /// The whole file.
    consuming func finish() -> [UInt8] {
        for index in 0..<256 {
            let slots = Self.arrange(tables[index])
            write(UInt32(bytes.count), at: index * 8)
            write(UInt32(slots.count), at: index * 8 + 4)
            for slot in slots {
                append(slot.hash)
                append(slot.position)
            }
        }
        return bytes
    }

    /// Twice as many slots as records, so that runs of full ones stay short. In the order of the records, so that the
    /// first of one key is met first.
    private static func arrange(_ records: [Slot]) -> [Slot] {
        var slots = [Slot](repeating: Slot(hash: 0, position: 0), count: records.count * 2)
        for record in records {
            var place = Int(record.hash >> 8) % slots.count
            while slots[place].position != 0 { place = place + 1 == slots.count ? 0 : place + 1 }
            slots[place] = record
        }
        return slots
    }

    private mutating func append(_ number: UInt32) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func write(_ number: UInt32, at offset: Int) {
        withUnsafeBytes(of: number.littleEndian) { octets in
            for index in 0..<4 { bytes[offset + index] = octets[index] }
        }
    }
}
