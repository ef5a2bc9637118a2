import Testing

@testable import QueueKit

@Suite struct SealJournalTests {
    private static func header(_ number: UInt64, _ count: Int) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: 56)
        out.setInteger(JournalFormat.frameMagic, at: 0)
        out.setInteger(UInt32(count), at: 8)
        out.setInteger(number, at: 16)
        return out
    }

    private static func seal(
        _ sealer: inout JournalSealer, _ number: UInt64, _ payload: [UInt8]
    ) throws -> (header: [UInt8], payload: [UInt8]) {
        var (header, out) = (Self.header(number, payload.count), payload)
        try header.lendingMutable { header in
            try payload.lending { payload in
                try out.lendingMutable { try sealer.seal(header: header, payload, into: $0) }
            }
        }
        return (header, out)
    }

    private static func opening(_ sealer: inout JournalSealer, _ number: UInt64) throws -> [UInt8] {
        var header = header(number, 16)
        try header.lendingMutable { try sealer.sealOpening(header: $0) }
        return header
    }

    private static func begin(_ opener: inout JournalOpener, _ header: [UInt8], _ salt: [UInt8]) throws {
        try header.lending { try opener.begin(header: $0, salt: salt) }
    }

    private static func open(
        _ opener: inout JournalOpener, _ frame: (header: [UInt8], payload: [UInt8])
    ) throws -> [UInt8] {
        var out = frame.payload
        try frame.header.lending { header in
            try frame.payload.lending { payload in
                try out.lendingMutable { try opener.open(header: header, payload, into: $0) }
            }
        }
        return out
    }

    @Test func framesComeBackOverSeveralOpenings() throws {
        let (key, binding) = (try Secret.random(32), [UInt8].random(64))
        var opener = JournalOpener(key, binding: binding)
        var earlier: [(header: [UInt8], payload: [UInt8])] = []
        for round in 0..<3 {
            var sealer = try JournalSealer(key, binding: binding)
            let opening = try Self.opening(&sealer, UInt64(round * 10))
            let frames = try (1..<5).map { try Self.seal(&sealer, UInt64(round * 10 + $0), text($0 * 100)) }
            if let stale = earlier.last { _ = try Self.open(&opener, stale) }
            try Self.begin(&opener, opening, sealer.salt)
            for (index, frame) in frames.enumerated() {
                #expect(try Self.open(&opener, frame) == text((index + 1) * 100))
                #expect(frame.payload != text((index + 1) * 100))
            }
            for stale in earlier { #expect(throws: SealError.self) { try Self.open(&opener, stale) } }
            earlier = frames
        }
    }

    @Test func aFrameTriedAgainHasAnotherNonce() throws {
        var sealer = try JournalSealer(try .random(32), binding: [])
        var nonces: Set<[UInt8]> = []
        for _ in 0..<100 {
            let frame = try Self.seal(&sealer, 7, [1])
            #expect(nonces.insert(Array(frame.header[24..<36])).inserted)
        }
    }

    @Test func everyFlippedBitIsSeen() throws {
        let (key, binding) = (try Secret.random(32), [UInt8].random(64))
        var sealer = try JournalSealer(key, binding: binding)
        let opening = try Self.opening(&sealer, 0)
        let frame = try Self.seal(&sealer, 1, text(60))
        var opener = JournalOpener(key, binding: binding)
        #expect(throws: SealError.self, "before the opening") { try Self.open(&opener, frame) }
        try Self.begin(&opener, opening, sealer.salt)
        for bit in 0..<(56 + 60) * 8 {
            var broken = frame
            if bit / 8 < 56 {
                broken.header[bit / 8] ^= 1 << UInt8(bit % 8)
            } else {
                broken.payload[bit / 8 - 56] ^= 1 << UInt8(bit % 8)
            }
            #expect(throws: SealError.self) { try Self.open(&opener, broken) }
        }
        for bit in 0..<(56 + 16) * 8 {
            var (header, salt) = (opening, sealer.salt)
            if bit / 8 < 56 {
                header[bit / 8] ^= 1 << UInt8(bit % 8)
            } else {
                salt[bit / 8 - 56] ^= 1 << UInt8(bit % 8)
            }
            #expect(throws: SealError.self) { try Self.begin(&opener, header, salt) }
        }
        #expect(try Self.open(&opener, frame) == text(60), "failures change nothing")
    }

    @Test func anotherJournalOrAnotherKeyOpensNothing() throws {
        let (key, binding) = (try Secret.random(32), [UInt8].random(64))
        var sealer = try JournalSealer(key, binding: binding)
        let opening = try Self.opening(&sealer, 0)
        var otherKey = JournalOpener(try .random(32), binding: binding)
        #expect(throws: SealError.self) { try Self.begin(&otherKey, opening, sealer.salt) }
        var otherJournal = JournalOpener(key, binding: .random(64))
        #expect(throws: SealError.self) { try Self.begin(&otherJournal, opening, sealer.salt) }
        #expect(throws: SealError.self) { try Self.begin(&otherJournal, opening, []) }
    }
}
