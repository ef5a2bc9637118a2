// Owns: the power to open: every generation of keys that is known, by key id. Refuses: giving parts to who asks for
// too much; a listener is built with a WriterKey, a submitter with a PublicKey, and neither leads here.
//
//   submitter: PublicKey                   SegmentSealer(submitter:)
//   listener:  WriterKey (.listener)       SegmentSealer(writer:)
//   runner:    KeyRing                     SegmentSealer(writer: ring.writerKey(.runner)), ring.open, ring.journalKey
//   operator:  KeyRing

import COpenSSL

/// All keys of the spool, of the generation in use and of earlier ones.
public struct KeyRing: Sendable {
    private let generations: [GenerationKeys]

    /// - Parameters:
    ///   - current: what new segments are sealed for.
    ///   - previous: of earlier generations, `queue encryption previous key`.
    public init(_ current: SpoolSeed, previous: [SpoolSeed] = []) throws(SealError) {
        var generations: [GenerationKeys] = []
        for seed in [current] + previous {
            let keys = try GenerationKeys(seed)
            if !generations.contains(where: { $0.id == keys.id }) { generations.append(keys) }
        }
        self.generations = generations
    }

    /// From the line that hands the private part on.
    public init(part: Secret) throws(SealError) {
        let seeds = try SpoolSeed.read(part: part)
        try self.init(seeds[0], previous: Array(seeds.dropFirst()))
    }

    /// The line that hands all of it on: for the runner and an operator, nobody else.
    public var part: Secret { SpoolSeed.part(generations.map(\.seed)) }

    private var current: GenerationKeys { generations[0] }
    /// The submitter's part.
    public var publicKey: PublicKey { current.pair.publicKey }
    /// The part of one writer; submitters have none.
    public func writerKey(_ role: SegmentRole) -> WriterKey? { current.writer(role) }
    /// The generations known, the one in use first.
    public var ids: [KeyID] { generations.map(\.id) }

    /// Seals journals of a generation.
    func journalKey(_ id: KeyID) throws(SealError) -> Secret { try generation(id, "a journal").journal }
    /// Seals the ledger of a generation.
    func ledgerKey(_ id: KeyID) throws(SealError) -> Secret { try generation(id, "the ledger").ledger }

    private func generation(_ id: KeyID, _ what: String) throws(SealError) -> GenerationKeys {
        if let keys = generations.first(where: { $0.id == id }) { return keys }
        throw SealError(
            .unknownKey(id), "open \(what) sealed for the key \(id)",
            "this key is not known. Give it with `queue encryption previous key`; the mail is held until then.")
    }

    /// Finds the secret of a sealed segment.
    ///
    /// - Parameter place: where the file lies, which says who may have written it: base mode counts in `offline/`
    ///   only, the listener's key in `incoming/`, the runner's in `queue/`. In quarantine its header is believed.
    /// - Throws: SealError `.unknownKey`: hold it; `.notAuthentic` or `.malformed`: quarantine it.
    func open(_ header: SegmentHeader, in place: SpoolLayout.Place) throws(SealError) -> SegmentSecret {
        try Self.check(header, place)
        return try generation(KeyID(rawValue: header.keyID), "a segment").open(header)
    }

    private static func check(_ header: SegmentHeader, _ place: SpoolLayout.Place) throws(SealError) {
        let operation = "open a sealed segment in \(place.rawValue)/"
        guard header.flags.contains(.sealed) else { throw SealError(.malformed, operation, "it is not sealed.") }
        guard header.flags.contains(.preShared) == (header.role != .submitter) else {
            throw SealError(.notAuthentic, operation, "its mode is not its writer's.")
        }
        guard mayWrite(header.role, in: place) else {
            throw SealError(.notAuthentic, operation, "its writer has no business there.")
        }
        guard isSane(header) else {
            throw SealError(.malformed, operation, "it names an absurd derivation of keys.")
        }
    }

    /// Asked before any work: iterations cost time, and anybody may write a drop.
    private static func isSane(_ header: SegmentHeader) -> Bool {
        let iterations = Int(header.iterations)
        switch RecordDerivation(rawValue: header.derivation) {
        case .hkdf: return iterations == 0
        case .stretched:
            return header.role != .submitter
                && (KeyDerivation.iterationsMinimum...KeyDerivation.stretchingLimit).contains(iterations)
        case nil: return false
        }
    }

    private static func mayWrite(_ role: SegmentRole, in place: SpoolLayout.Place) -> Bool {
        switch place {
        case .offline: role == .submitter
        case .incoming: role == .listener
        case .queue: role == .runner
        case .quarantine: true
        case .run: false
        }
    }
}
