// Owns: the secret of one segment: made for the public key by who writes it, found again by who may open it; both bound
// to every byte of the segment's header. Refuses: records (RecordSealer), files.
//
// HPKE's info is the header as it stands on disk, so an altered header gives another secret. Two values are exported:
// the segment's secret, and a check that goes into the header: it tells a wrong key, a forged writer or an altered
// header from damaged records, before any record is read.

import COpenSSL

/// What seals and opens the records of one segment.
package struct SegmentSecret: Sendable {
    let segmentID: [UInt8]
    let secret: Secret
    /// Of PBKDF2 for each record key; nil without stretching.
    let iterations: Int?

    package init(segmentID: [UInt8], secret: Secret, iterations: Int? = nil) {
        (self.segmentID, self.secret, self.iterations) = (segmentID, secret, iterations)
    }
}

extension SegmentSecret {
    /// Whether it is this segment's, which is sealed.
    func isOf(_ header: SegmentHeader) -> Bool { header.flags.contains(.sealed) && header.id == segmentID }
}

extension SealError {
    static func unknownKey(_ header: SegmentHeader) -> SealError {
        let id = KeyID(rawValue: header.keyID)
        return SealError(.unknownKey(id), "open a sealed segment", "no key was given.")
    }
}

/// How record keys come from the segment's secret, as the header names it.
enum RecordDerivation: UInt8, Sendable {
    case hkdf = 0
    /// HKDF, then PBKDF2 with the record's own salt (`queue encryption pbkdf2 each`).
    case stretched = 1
}

/// Begins sealed segments: the power to seal, without the power to open.
public struct SegmentSealer: Sendable {
    public let publicKey: PublicKey
    public let role: SegmentRole
    private let mode: HPKE.Mode
    private let iterations: Int?

    /// For drops: base mode, which counts in `offline/` only. Drops are never stretched.
    public init(submitter publicKey: PublicKey) {
        (self.publicKey, role, mode, iterations) = (publicKey, .submitter, .base, nil)
    }

    /// For the listener and the runner: PSK mode with the role's writer key.
    ///
    /// - Parameter stretching: iterations for each record key, 100,000 to 1,000,000; nil for none.
    /// - Throws: SealError `.refused` for iterations out of bounds.
    public init(writer key: WriterKey, stretching iterations: Int? = nil) throws(SealError) {
        if let iterations { try KeyDerivation.check(iterations, limit: KeyDerivation.stretchingLimit) }
        (publicKey, role, self.iterations) = (key.publicKey, key.role, iterations)
        mode = .preShared(key: key.secret, id: key.preSharedID)
    }

    /// Makes the secret of a new segment and writes into its header what finds it again.
    ///
    /// - Parameter header: new, of this sealer's role; complete but for sealing.
    func seal(_ header: inout SegmentHeader) throws(SealError) -> SegmentSecret {
        guard header.role == role else {
            throw SealError(.refused, "seal a segment", "its writer is another than the key's.")
        }
        header.flags.insert(.sealed)
        if role != .submitter { header.flags.insert(.preShared) }
        header.keyID = publicKey.id.rawValue
        header.derivation = (iterations == nil ? RecordDerivation.hkdf : .stretched).rawValue
        header.iterations = UInt32(clamping: iterations ?? 0)
        let (context, encapsulated) = try HPKE.sender(to: publicKey, mode: mode, info: header.binding)
        header.encapsulated = encapsulated
        header.check = try context.segmentCheck()
        return try context.segmentSecret(header)
    }
}

extension SegmentHeader {
    /// What HPKE binds: the header's bytes up to its sealing fields' end, without what HPKE itself makes.
    fileprivate var binding: [UInt8] {
        var plain = self
        plain.encapsulated = [UInt8](repeating: 0, count: X25519.length)
        plain.check = [UInt8](repeating: 0, count: 16)
        return KeyDerivation.Label.segment.bytes + plain.bytes.prefix(Self.boundLength)
    }

    /// Behind it the header has only zeros, its checksum and the committed offset.
    private static let boundLength = 128
}

extension HPKE.Context {
    fileprivate func segmentCheck() throws(SealError) -> [UInt8] {
        try export(KeyDerivation.Label.segmentCheck.bytes, count: 16).withBytes { Array($0) }
    }

    fileprivate func segmentSecret(_ header: SegmentHeader) throws(SealError) -> SegmentSecret {
        SegmentSecret(
            segmentID: header.id, secret: try export(KeyDerivation.Label.segment.bytes, count: 32),
            iterations: header.iterations == 0 ? nil : Int(header.iterations))
    }
}

extension GenerationKeys {
    /// Finds the secret of a segment sealed for this generation.
    ///
    /// - Throws: SealError `.notAuthentic` for another writer's key or an altered header.
    func open(_ header: SegmentHeader) throws(SealError) -> SegmentSecret {
        var mode = HPKE.Mode.base
        if let writer = writer(header.role) { mode = .preShared(key: writer.secret, id: writer.preSharedID) }
        let context = try HPKE.receiver(header.encapsulated, pair, mode: mode, info: header.binding)
        guard ConstantTime.equal(try context.segmentCheck(), header.check) else {
            throw SealError(
                .notAuthentic, "open a sealed segment",
                "its header was altered, or it was not written with the key of its writer.")
        }
        return try context.segmentSecret(header)
    }
}
