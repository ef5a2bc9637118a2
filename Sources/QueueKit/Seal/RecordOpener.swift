// Owns: opening sealed records, each only as what it was sealed as. Refuses: giving out a byte that did not verify;
// the order of records in a file beyond what their nonces prove.

/// Opens the records of one segment.
package struct RecordOpener: Sendable {
    private let segment: SegmentSecret

    package init(_ segment: SegmentSecret) { self.segment = segment }

    /// A reader of one envelope or one message.
    package func begin(_ stream: RecordStream) -> Stream { Stream(segment, stream) }

    /// The records of one envelope or one message, in any order; all must bear the salt of the first one read.
    package struct Stream: ~Copyable {
        private let segment: SegmentSecret
        private let stream: RecordStream
        /// Salt and random part of the nonce, and the cipher they give: set by the first record.
        private var bound: [UInt8]?
        private var cipher: CipherContext?
        private var associated: [UInt8]

        init(_ segment: SegmentSecret, _ stream: RecordStream) {
            (self.segment, self.stream) = (segment, stream)
            associated = segment.segmentID + [UInt8](repeating: 0, count: SealedRecord.tagOffset)
        }

        /// Opens one record into `out`.
        ///
        /// - Parameters:
        ///   - header: the record's 80 bytes.
        ///   - payload: as long as the header says.
        ///   - out: as long as `payload`; may be the same memory. Zeros after a failure.
        /// - Throws: SealError `.notAuthentic` when anything is not as it was sealed.
        package mutating func open(
            header: UnsafeRawBufferPointer, _ payload: UnsafeRawBufferPointer, into out: UnsafeMutableRawBufferPointer
        ) throws(SealError) {
            let operation = "open a sealed record"
            guard header.count == SealedRecord.headerLength, let nonce = nonce(header) else {
                throw .notAuthentic(operation)
            }
            try prepare(Array(header[SealedRecord.saltOffset..<SealedRecord.tagOffset]), nonce)
            let covered = UnsafeRawBufferPointer(rebasing: header.prefix(SealedRecord.tagOffset))
            let idLength = segment.segmentID.count
            associated.lendingMutable { $0.split(at: idLength).1.copyMemory(from: covered) }
            let (_, tag) = header.split(at: SealedRecord.tagOffset)
            let authentic = try nonce.lending { (nonce) throws(SealError) in
                try cipher?.open(payload, nonce: nonce, associated: associated, tag: tag, into: out) ?? false
            }
            guard authentic else { throw .notAuthentic(operation) }
        }

        /// The nonce, if it is that of this kind of record at this place.
        private func nonce(_ header: UnsafeRawBufferPointer) -> [UInt8]? {
            let order = UInt32(
                littleEndian: header.loadUnaligned(fromByteOffset: SealedRecord.orderOffset, as: UInt32.self))
            guard let kind = RecordKind(rawValue: header[SealedRecord.kindOffset]),
                let number = stream.number(kind, order: order)
            else { return nil }
            let nonce = Array(header[SealedRecord.nonceOffset..<SealedRecord.saltOffset])
            let last = SealedRecord.lastBytes(number: number, last: RecordStream.isLast(kind))
            return nonce.dropFirst(SealedRecord.prefixLength).elementsEqual(last) ? nonce : nil
        }

        private func key(_ salt: [UInt8]) throws(SealError) -> Secret {
            let key = try HKDF.expand(
                segment.secret, info: SealedRecord.info(stream, salt: salt), count: CipherContext.keyLength,
                passing: true)
            return try SealedRecord.stretched(key, segment, salt: salt)
        }

        /// Derives the key by the first record's salt; later records must agree with it. So a forged stream costs one
        /// derivation, stretched or not.
        private mutating func prepare(_ salt: [UInt8], _ nonce: [UInt8]) throws(SealError) {
            let found = salt + nonce.prefix(SealedRecord.prefixLength)
            if let bound {
                guard bound == found else { throw .notAuthentic("open a sealed record") }
                return
            }
            bound = found
            cipher = try CipherContext(.opening, key: try key(salt))
        }
    }
}
