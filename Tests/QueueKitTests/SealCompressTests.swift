import Testing

@testable import QueueKit

@Suite struct SealCompressTests {
    /// The records of a message; nil when it is stored as it is.
    private static func deflate(_ content: [UInt8], piece: Int = 65_536) throws -> [[UInt8]]? {
        var deflater = try Deflater()
        return try deflate(content, piece: piece, &deflater)
    }

    private static func deflate(_ content: [UInt8], piece: Int, _ deflater: inout Deflater) throws -> [[UInt8]]? {
        var records: [[UInt8]] = []
        for start in stride(from: 0, to: content.count, by: piece) {
            let part = Array(content[start..<min(start + piece, content.count)])
            guard let record = try part.lending({ try deflater.next($0) }) else {
                #expect(records.isEmpty, "the first piece decides")
                return nil
            }
            records.append(record)
        }
        return records
    }

    private static func inflate(_ records: [[UInt8]], length: Int) throws -> [UInt8] {
        var inflater = try Inflater(length: Int64(length))
        var out: [UInt8] = []
        for record in records { out += try record.lending { try inflater.next($0) } }
        #expect(inflater.remaining == Int64(length - out.count))
        return out
    }

    @Test(arguments: [200, 4096, 65_535, 65_536, 65_537, 131_072, 1_000_000])
    func contentComesBack(size: Int) throws {
        let records = try #require(try Self.deflate(text(size)))
        #expect(records.reduce(0) { $0 + $1.count } < size)
        #expect(try Self.inflate(records, length: size) == text(size))
    }

    @Test func whatGrowsLaterComesBackToo() throws {
        let content = text(65_536) + .random(200_000)
        let records = try #require(try Self.deflate(content))
        #expect(records.allSatisfy { $0.count <= 65_536 + 64 })
        #expect(try Self.inflate(records, length: content.count) == content)
    }

    @Test(arguments: [("random bytes", [UInt8].random(65_536)), ("one byte", [1])])
    func whatDoesNotPayIsStored(reason: String, content: [UInt8]) throws {
        var deflater = try Deflater()
        #expect(try content.lending { try deflater.next($0) } == nil, "\(reason)")
        #expect(try text(65_536).lending { try deflater.next($0) } == nil, "the whole message stays as it is")
        deflater.reset()
        #expect(try text(65_536).lending { try deflater.next($0) } != nil, "the next message is judged anew")
    }

    @Test func oneDeflaterServesManyMessages() throws {
        var deflater = try Deflater()
        for size in [300, 5000, 70_000, 300] {
            deflater.reset()
            let records = try #require(try Self.deflate(text(size), piece: 65_536, &deflater))
            #expect(try Self.inflate(records, length: size) == text(size))
        }
    }

    @Test func bombsEndInAnError() throws {
        let zeros = [UInt8](repeating: 0, count: 65_536 * 4)
        let bomb = try #require(try Self.deflate(zeros, piece: zeros.count))
        #expect(bomb[0].count < 2000)
        #expect(throws: SealError.self, "more than a record may hold") { try Self.inflate(bomb, length: zeros.count) }
        let honest = try #require(try Self.deflate(zeros))
        for length in [1, 65_535, 65_537, 131_071, 65_536 * 4 - 1] {
            #expect(throws: SealError.self, "more than \(length)") { try Self.inflate(honest, length: length) }
        }
        #expect(throws: SealError.self, "more records") { try Self.inflate(honest + [honest[0]], length: zeros.count) }
    }

    @Test func cutAndStrangeRecordsAreRefused() throws {
        let record = try #require(try Self.deflate(text(20_000)))[0]
        for garbage in [[], [0], [0xFF], [6, 7, 8], [1, 0, 0, 0xFF, 0xFF], record + [3, 0], [3, 0]] as [[UInt8]] {
            let result = Result { try Self.inflate([garbage], length: 20_000) }
            if case .success(let bytes) = result { #expect(bytes.count < 20_000 || bytes == text(20_000)) }
        }
        #expect(throws: SealError.self) { try Self.inflate([[]], length: 5) }
        #expect(throws: SealError.self) { try Self.inflate([record], length: 0) }
    }

    @Test func randomMutationsNeverTrap() throws {
        let record = try #require(try Self.deflate(text(3000)))[0]
        var random = Repeatable(state: 1951)
        for _ in 0..<2000 {
            var broken = record
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                broken[Int.random(in: 0..<broken.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) { broken.removeLast(Int.random(in: 0...broken.count, using: &random)) }
            var inflater = try Inflater(length: 3000)
            let result = try? broken.lending { try inflater.next($0) }
            #expect((result?.count ?? 0) <= 3000)
        }
    }
}
