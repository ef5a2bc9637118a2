// Owns: all passphrases of a configuration together, and handing them to `mail-queue init` without asking twice.
// Refuses: where each comes from (PassphraseReader), what they open (UnlockedKeys).

import CommandKit
import QueueKit
import Routing

/// In wiped memory; they go with the last reference.
public struct Passphrases: Sendable {
    /// nil with `previous key` alone.
    var current: Secret?
    var previous: [Secret]

    init(current: Secret?, previous: [Secret]) { (self.current, self.previous) = (current, previous) }

    /// Asks each source once.
    ///
    /// - Throws: 78 for the first that gives none.
    public init(_ encryption: QueueEncryption, _ reader: PassphraseReader) throws(CommandFailure) {
        current = try encryption.key.map { (source) throws(CommandFailure) in try reader.read(source) }
        previous = try encryption.previous.map { (source) throws(CommandFailure) in
            try reader.read(source, isPrevious: true)
        }
    }

    /// In the order in which they are tried.
    var all: [Secret] { [current].compactMap(\.self) + previous }

    // MARK: Handing on

    /// Each with its length, two octets, before it; the one in use first, empty when there is none.
    public var bundle: Secret {
        let parts = [current] + previous.map(Optional.some)
        let size = parts.reduce(0) { $0 + 2 + ($1?.count ?? 0) }
        return Secret(capacity: size) { memory in
            var position = 0
            for part in parts {
                let count = part?.count ?? 0
                (memory[position], memory[position + 1]) = (UInt8(count >> 8 & 255), UInt8(count & 255))
                part?.withBytes { bytes in
                    UnsafeMutableRawBufferPointer(rebasing: memory[(position + 2)...]).copyMemory(from: bytes)
                }
                position += 2 + count
            }
            return position
        }
    }

    static let bundleLimit = (QueueEncryption.previousLimit + 1) * (PassphraseReader.limit + 2)

    /// - Throws: 78 for what `bundle` did not make.
    public init(bundle: Secret) throws(CommandFailure) {
        var parts: [Secret] = []
        var position = 0
        while position < bundle.count {
            guard let part = Self.part(of: bundle, at: position), parts.count <= QueueEncryption.previousLimit else {
                throw Self.malformed
            }
            parts.append(part)
            position += 2 + part.count
        }
        guard let first = parts.first, !parts.dropFirst().contains(where: \.isEmpty) else { throw Self.malformed }
        (current, previous) = (first.isEmpty ? nil : first, Array(parts.dropFirst()))
    }

    private static func part(of bundle: Secret, at position: Int) -> Secret? {
        bundle.withBytes { bytes in
            guard position + 2 <= bytes.count else { return nil }
            let count = Int(bytes[position]) << 8 | Int(bytes[position + 1])
            let start = position + 2
            guard start + count <= bytes.count, count <= PassphraseReader.limit else { return nil }
            return Secret(capacity: count) { memory in
                memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + count)]))
                return count
            }
        }
    }

    private static let malformed = CommandFailure(
        .configuration, "cannot read the passphrases handed over: they are not what mail-supervise writes.")
}
