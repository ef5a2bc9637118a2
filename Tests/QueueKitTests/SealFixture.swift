// Sealed segments and messages in memory, for tests that break them.

import MailModel

@testable import QueueKit

/// A generation of keys with what each program holds of it.
struct SealFixture {
    let seed: SpoolSeed
    let ring: KeyRing

    init(previous: [SpoolSeed] = []) throws {
        seed = try .random()
        ring = try KeyRing(seed, previous: previous)
    }

    func sealer(_ role: SegmentRole, stretching: Int? = nil) throws -> SegmentSealer {
        guard let key = ring.writerKey(role) else { return SegmentSealer(submitter: ring.publicKey) }
        return try SegmentSealer(writer: key, stretching: stretching)
    }

    static func header(_ role: SegmentRole) -> SegmentHeader {
        SegmentHeader(flags: [], role: role, created: Timestamp(milliseconds: 7), run: .random(16), number: 3)
    }

    /// Where a role's segments lie.
    static func place(_ role: SegmentRole) -> SpoolLayout.Place {
        switch role {
        case .listener: .incoming
        case .runner: .queue
        case .submitter: .offline
        }
    }
}

/// The records of one message, sealed.
struct SealedMessage: Equatable {
    var records: [[UInt8]]

    /// 80 bytes as Record writes them, nothing of sealing in them.
    static func header(_ kind: RecordKind, order: UInt32, count: Int, offset: Int64 = 1024) -> [UInt8] {
        let header = RecordHeader(kind: kind, order: order, payloadLength: count, stamp: 5, messageOffset: offset)
        var out: [UInt8] = []
        [UInt8](repeating: 0, count: count).withUnsafeBytes { header.append(payload: $0, segmentID: [], to: &out) }
        return Array(out.prefix(RecordHeader.length))
    }

    init(_ segment: SegmentSecret, envelope: [UInt8], chunks: [[UInt8]], offset: Int64 = 1024) throws {
        let sealer = try RecordSealer(segment)
        var first: [UInt8] = []
        var stream = try sealer.begin(.envelope)
        let header = Self.header(.envelope, order: 0, count: envelope.count, offset: offset)
        try header.lending { header in
            try envelope.lending { try stream.append(header: header, $0, to: &first) }
        }
        records = [first]
        var message = try sealer.begin(.message)
        for (index, chunk) in (chunks + [Self.commit]).enumerated() {
            let kind: RecordKind = index == chunks.count ? .commit : .content
            let header = Self.header(kind, order: UInt32(index + 1), count: chunk.count, offset: offset)
            var out: [UInt8] = []
            try header.lending { header in
                try chunk.lending { try message.append(header: header, $0, to: &out) }
            }
            records.append(out)
        }
    }

    static let commit = CommitRecord(contentLength: 10, durableOffset: 20).bytes

    /// The payloads in the order of the records.
    func open(_ segment: SegmentSecret) throws -> [[UInt8]] {
        let opener = RecordOpener(segment)
        var envelope = opener.begin(.envelope)
        var message = opener.begin(.message)
        var result: [[UInt8]] = []
        for (index, record) in records.enumerated() {
            guard record.count >= RecordHeader.length else { throw SealError.notAuthentic("open a cut record") }
            var out = [UInt8](repeating: 0, count: record.count - RecordHeader.length)
            try record.lending { record in
                let (header, payload) = record.split(at: RecordHeader.length)
                try out.lendingMutable { out in
                    if index == 0 {
                        try envelope.open(header: header, payload, into: out)
                    } else {
                        try message.open(header: header, payload, into: out)
                    }
                }
            }
            result.append(out)
        }
        return result
    }
}

/// A repeatable generator: a failing mutation can be run again.
struct Repeatable: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}
