import MailModel
import Testing

@testable import QueueKit

@Suite struct SealRecordTests {
    private static func segment(stretching iterations: Int? = nil) throws -> SegmentSecret {
        SegmentSecret(segmentID: .random(16), secret: try .random(32), iterations: iterations)
    }

    @Test(arguments: [0, 1, 15, 16, 17, 65_535, 65_536])
    func payloadsComeBack(size: Int) throws {
        let segment = try Self.segment()
        let message = try SealedMessage(segment, envelope: text(size), chunks: [text(size), text(3)])
        #expect(try message.open(segment) == [text(size), text(size), text(3), SealedMessage.commit])
        for record in message.records where size > 16 {
            #expect(!record.dropFirst(80).starts(with: text(16)), "what is stored is not what was given")
        }
    }

    @Test func aMessageWithoutContentHasItsCommitRecord() throws {
        let segment = try Self.segment()
        let message = try SealedMessage(segment, envelope: [1], chunks: [])
        #expect(try message.open(segment) == [[1], SealedMessage.commit])
    }

    @Test func stretchedRecordsComeBack() throws {
        let segment = try Self.segment(stretching: 100_000)
        let message = try SealedMessage(segment, envelope: [1, 2], chunks: [[3]])
        #expect(try message.open(segment) == [[1, 2], [3], SealedMessage.commit])
        let plain = SegmentSecret(segmentID: segment.segmentID, secret: segment.secret)
        #expect(throws: SealError.self) { try message.open(plain) }
    }

    @Test(arguments: 0..<4) func everyFlippedBitIsSeen(record: Int) throws {
        let segment = try Self.segment()
        let message = try SealedMessage(segment, envelope: text(40), chunks: [text(50), text(20)])
        for byte in message.records[record].indices {
            for bit in 0..<8 {
                var broken = message
                broken.records[record][byte] ^= 1 << UInt8(bit)
                #expect(throws: SealError.self, "byte \(byte), bit \(bit)") { try broken.open(segment) }
            }
        }
    }

    @Test(arguments: 0..<16) func theSegmentIsCovered(byte: Int) throws {
        let segment = try Self.segment()
        let message = try SealedMessage(segment, envelope: text(40), chunks: [text(50)])
        var id = segment.segmentID
        id[byte] ^= 1
        #expect(throws: SealError.self) {
            try message.open(SegmentSecret(segmentID: id, secret: segment.secret))
        }
    }

    enum Change: String, CaseIterable, CustomTestStringConvertible {
        case swapped, repeated, dropped, reordered, cut, extended, fromAnotherMessage, fromAnotherSegment,
            fromAnotherTry, envelopeAsContent, contentAsCommit, emptied
        var testDescription: String { rawValue }
    }

    @Test(arguments: Change.allCases) func recordsStayInTheirPlace(change: Change) throws {
        let segment = try Self.segment()
        let chunks = [text(30), text(31), text(32)]
        var message = try SealedMessage(segment, envelope: text(40), chunks: chunks)
        let sameAgain = try SealedMessage(segment, envelope: text(40), chunks: chunks)
        switch change {
        case .swapped: message.records.swapAt(1, 2)
        case .repeated: message.records[2] = message.records[1]
        case .dropped: message.records.remove(at: 1)
        case .reordered:
            message.records.swapAt(1, 2)
            let orders = message.records[1][8..<12]
            message.records[1].replaceSubrange(8..<12, with: message.records[2][8..<12])
            message.records[2].replaceSubrange(8..<12, with: orders)
        case .cut: message.records[2].removeLast()
        case .extended: message.records[2].append(0)
        case .fromAnotherMessage:
            let other = try SealedMessage(segment, envelope: text(40), chunks: chunks, offset: 2048)
            message.records[2] = other.records[2]
        case .fromAnotherSegment:
            let twin = SegmentSecret(segmentID: .random(16), secret: segment.secret)
            let other = try SealedMessage(twin, envelope: text(40), chunks: chunks)
            message.records = [message.records[0]] + other.records.dropFirst()
        case .fromAnotherTry: message.records[2] = sameAgain.records[2]
        case .envelopeAsContent: message.records[1] = message.records[0]
        case .contentAsCommit:
            message.records[4] = message.records[3]
            message.records[4][SealedRecord.kindOffset] = RecordKind.commit.rawValue
        case .emptied: message.records[2].removeLast(message.records[2].count - 80)
        }
        switch change {
        // Order in the file is the reader's to ask: it looks for the order number that comes next. What the tags
        // prove is that no record passes under another number.
        case .swapped, .repeated, .dropped: try expectOrdersTold(message, segment)
        default: #expect(throws: SealError.self) { try message.open(segment) }
        }
    }

    private func expectOrdersTold(_ message: SealedMessage, _ segment: SegmentSecret) throws {
        _ = try message.open(segment)
        let orders = message.records.map { $0.withUnsafeBytes { RecordHeader($0)?.order } }
        #expect(orders != (0..<UInt32(orders.count)).map { $0 })
    }

    @Test func saltsAndNoncesNeverRepeat() throws {
        let segment = try Self.segment()
        var salts: Set<[UInt8]> = []
        for _ in 0..<2000 {
            let message = try SealedMessage(segment, envelope: [1], chunks: [[2], [3]])
            let found = message.records.map { Array($0[48..<64]) }
            #expect(Set(found[1...]).count == 1, "a message has one salt")
            for salt in Set(found) { #expect(salts.insert(salt).inserted) }
            #expect(Set(message.records[1...].map { Array($0[36..<48]) }).count == 3)
            #expect(
                message.records.map { Array($0[43..<48]) } == [
                    [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 2, 1],
                ])
        }
        #expect(salts.count == 4000)
    }

    @Test func aStreamTakesNothingOutOfOrderAndNothingAfterItsEnd() throws {
        var stream = try RecordSealer(try Self.segment()).begin(.message)
        func seal(_ kind: RecordKind, _ order: UInt32) throws -> Bool {
            var out: [UInt8] = []
            do {
                try SealedMessage.header(kind, order: order, count: 1).lending { header in
                    try [UInt8(1)].lending { try stream.append(header: header, $0, to: &out) }
                }
                return true
            } catch {
                #expect((error as? SealError)?.kind == .refused)
                return false
            }
        }
        #expect(try !seal(.envelope, 0))
        #expect(try !seal(.content, 2))
        #expect(try seal(.content, 1))
        #expect(try !seal(.content, 1), "a number is used once")
        #expect(try seal(.commit, 2))
        #expect(try !seal(.content, 3))
        #expect(try !seal(.commit, 3))
    }

    /// What a writer with the key could do wrong: the right key under a nonce of another place.
    @Test(arguments: [(number: UInt32(0), last: false), (0, true), (1, false), (.max, false)])
    func theNonceTellsThePlace(number: UInt32, last: Bool) throws {
        let segment = try Self.segment()
        var message = try SealedMessage(segment, envelope: [1], chunks: [text(20)])
        var header = Array(message.records[1].prefix(80))
        header.replaceSubrange(43..<48, with: SealedRecord.lastBytes(number: number, last: last))
        let info = SealedRecord.info(.message, salt: Array(header[48..<64]))
        let first = try HKDF.expand(segment.secret, info: info, count: 32)
        let key = try SealedRecord.stretched(first, segment, salt: Array(header[48..<64]))
        let sealed = try CipherContext.sealed(
            secretOf(text(20)), key: key, nonce: Array(header[36..<48]),
            associated: segment.segmentID + header.prefix(64))
        message.records[1] = header.prefix(64) + sealed.suffix(16) + sealed.dropLast(16)
        if number == 0 && !last {
            #expect(try message.open(segment)[1] == text(20))
        } else {
            #expect(throws: SealError.self) { try message.open(segment) }
        }
    }

    @Test func randomMutationsNeverOpenToOtherBytes() throws {
        let segment = try Self.segment()
        let payloads = [text(100), text(300), text(30)]
        let message = try SealedMessage(segment, envelope: payloads[0], chunks: Array(payloads[1...]))
        let original = try message.open(segment)
        var random = Repeatable(state: 9180)
        for round in 0..<2000 {
            var broken = message
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let record = Int.random(in: 0..<broken.records.count, using: &random)
                let count = broken.records[record].count
                switch Int.random(in: 0..<6, using: &random) {
                case 0 where count > 0:
                    broken.records[record][Int.random(in: 0..<count, using: &random)] = .random(
                        in: 0...255, using: &random)
                case 1: broken.records[record].removeLast(Int.random(in: 0...count, using: &random))
                case 2: broken.records[record].append(.random(in: 0...255, using: &random))
                case 3: broken.records.swapAt(record, Int.random(in: 0..<broken.records.count, using: &random))
                case 4:
                    broken.records[record] = message.records[Int.random(in: 0..<message.records.count, using: &random)]
                default:
                    for index in 0..<min(80, count) where Bool.random(using: &random) {
                        broken.records[record][index] = .random(in: 0...255, using: &random)
                    }
                }
            }
            guard let opened = try? broken.open(segment) else { continue }
            #expect(opened.allSatisfy { original.contains($0) }, "round \(round)")
        }
    }
}
