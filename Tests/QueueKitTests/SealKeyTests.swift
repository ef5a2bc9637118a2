import COpenSSL
import Glibc
import MailModel
import Testing

@testable import QueueKit

@Suite struct SealSegmentTests {
    private static let roles: [SegmentRole] = [.listener, .runner, .submitter]

    @Test(arguments: roles) func whoHoldsTheRingFindsTheSecret(role: SegmentRole) throws {
        let fixture = try SealFixture()
        var header = SealFixture.header(role)
        let sealed = try fixture.sealer(role).seal(&header)
        #expect(header.flags.contains(.sealed))
        #expect(header.flags.contains(.preShared) == (role != .submitter))
        let read = try #require(SegmentHeader.read(header.blocks))
        let opened = try fixture.ring.open(read, in: SealFixture.place(role))
        #expect(opened.secret.matches(sealed.secret))
        #expect(opened.segmentID == header.id)
        #expect(throws: Never.self) { try fixture.ring.open(read, in: .quarantine) }
    }

    @Test(arguments: roles, SpoolLayout.Place.allCases)
    func aWriterCountsInItsOwnPlaceOnly(role: SegmentRole, place: SpoolLayout.Place) throws {
        let fixture = try SealFixture()
        var header = SealFixture.header(role)
        _ = try fixture.sealer(role).seal(&header)
        if place == SealFixture.place(role) || place == .quarantine {
            #expect(throws: Never.self) { try fixture.ring.open(header, in: place) }
        } else {
            #expect(throws: SealError.self) { try fixture.ring.open(header, in: place) }
        }
    }

    /// What the sealers of other roles can forge with all they hold.
    @Test(arguments: roles, roles)
    func noWriterPassesForAnother(holder: SegmentRole, claimed: SegmentRole) throws {
        guard holder != claimed else { return }
        let fixture = try SealFixture()
        var header = SealFixture.header(claimed)
        #expect(throws: SealError.self) { try fixture.sealer(holder).seal(&header) }
        // By the letter of the format, without our own check: the holder's key under the claimed name.
        header = SealFixture.header(holder)
        _ = try fixture.sealer(holder).seal(&header)
        header.role = claimed
        if claimed == .submitter { header.flags.remove(.preShared) } else { header.flags.insert(.preShared) }
        #expect(throws: SealError.self) { try fixture.ring.open(header, in: SealFixture.place(claimed)) }
    }

    @Test func everyFlippedBitOfTheHeaderIsSeen() throws {
        let fixture = try SealFixture()
        var header = SealFixture.header(.listener)
        _ = try fixture.sealer(.listener, stretching: 100_000).seal(&header)
        let bytes = header.bytes
        for byte in 0..<SegmentHeader.checksumOffset {
            for bit in 0..<8 {
                var broken = bytes
                broken[byte] ^= 1 << UInt8(bit)
                // The host can make the checksum right again.
                broken.setInteger(Checksum.crc32(Array(broken.prefix(SegmentHeader.checksumOffset))), at: 444)
                guard let read = SegmentHeader.read(broken + broken) else { continue }
                guard read != header else { continue }
                #expect(throws: SealError.self, "byte \(byte), bit \(bit)") {
                    try fixture.ring.open(read, in: .incoming)
                }
            }
        }
    }

    @Test func aSegmentSecretIsNeverMadeTwice() throws {
        let sealer = try SealFixture().sealer(.listener)
        let header = SealFixture.header(.listener)
        let secrets = try (0..<50).map { _ in
            var copy = header
            return try sealer.seal(&copy).secret.bytes
        }
        #expect(Set(secrets).count == 50)
    }

    @Test func earlierGenerationsOpenAndUnknownOnesAreNamed() throws {
        let old = try SealFixture()
        var header = SealFixture.header(.runner)
        let sealed = try old.sealer(.runner).seal(&header)
        let new = try SealFixture(previous: [old.seed, old.seed])
        #expect(new.ring.ids == [new.ring.publicKey.id, old.ring.publicKey.id])
        #expect(try new.ring.open(header, in: .queue).secret.matches(sealed.secret))
        let without = try SealFixture()
        let error = #expect(throws: SealError.self) { try without.ring.open(header, in: .queue) }
        #expect(error?.kind == .unknownKey(old.ring.publicKey.id))
        #expect(error?.description.contains(old.ring.publicKey.id.description) == true)
    }

    @Test(arguments: [0, 1, 99_999, 1_000_001, Int.max, -1])
    func absurdStretchingIsRefused(iterations: Int) throws {
        let fixture = try SealFixture()
        #expect(throws: SealError.self) { try fixture.sealer(.listener, stretching: iterations) }
        guard iterations != 0, let number = UInt32(exactly: iterations) else { return }
        var header = SealFixture.header(.listener)
        _ = try fixture.sealer(.listener, stretching: 100_000).seal(&header)
        header.iterations = number
        let error = #expect(throws: SealError.self) { try fixture.ring.open(header, in: .incoming) }
        #expect(error?.kind == .malformed, "refused before any work")
    }

    @Test func plainAndStretchedDropsAreRefused() throws {
        let fixture = try SealFixture()
        var header = SealFixture.header(.submitter)
        #expect(throws: SealError.self) { try fixture.ring.open(header, in: .offline) }
        _ = try fixture.sealer(.submitter).seal(&header)
        (header.derivation, header.iterations) = (1, 100_000)
        #expect(throws: SealError.self) { try fixture.ring.open(header, in: .offline) }
    }

    /// All that a listener holds: the public key, its writer key, and the file.
    @Test func aListenerCannotOpenWhatItClosed() throws {
        let fixture = try SealFixture()
        let part = try #require(fixture.ring.writerKey(.listener)).part
        let held = try WriterKey(part: part)
        var header = SealFixture.header(.listener)
        let sealed = try SegmentSealer(writer: held).seal(&header)
        let mode = HPKE.Mode.preShared(key: held.secret, id: held.preSharedID)
        for guess in [held.secret, secretOf(held.publicKey.bytes), secretOf(header.encapsulated)] {
            let context = try HPKE.receiver(header.encapsulated, try KeyPair(guess), mode: mode, info: [])
            #expect(!(try context.export([], count: 32).matches(sealed.secret)))
            #expect(!(try GenerationKeys(SpoolSeed(guess)).pair.publicKey == held.publicKey))
        }
    }
}

@Suite struct SealKeyTests {
    private static func passphrase(_ text: String) -> Secret { secretOf(Array(text.utf8)) }

    @Test func theSeedGivesDistinctKeys() throws {
        let keys = try GenerationKeys(.random())
        let all = [
            keys.seed.secret, keys.pair.secret, keys.listener.secret, keys.runner.secret, keys.journal, keys.ledger,
        ]
        #expect(Set(all.map(\.bytes)).count == all.count)
        let again = try GenerationKeys(keys.seed)
        #expect(again.pair.publicKey == keys.pair.publicKey)
        #expect(again.ledger.matches(keys.ledger))
    }

    @Test func spoolKeyReadsBackAndOpens() throws {
        let seed = try SpoolSeed.random()
        let key = try SpoolKey(seed, passphrase: Self.passphrase("foobarbaz"))
        let file = SpoolKeyFile(key)
        let read = try SpoolKeyFile(file.rendered)
        #expect(read == file)
        #expect(try read.current.seed(Self.passphrase("foobarbaz")).secret.matches(seed.secret))
        let error = #expect(throws: SealError.self) { try read.current.seed(Self.passphrase("foobarbaZ")) }
        #expect(error?.kind == .notAuthentic)
        #expect(try KeyRing(seed).publicKey.id == key.id)
    }

    @Test func aNewPassphraseWrapsTheSameSeed() throws {
        let seed = try SpoolSeed.random()
        let old = try SpoolKey(seed, passphrase: Self.passphrase("old one"))
        let new = try old.wrappedAgain(
            from: Self.passphrase("old one"), to: Self.passphrase("new one"), iterations: 120_000)
        #expect(new.id == old.id && new.iterations == 120_000 && new.salt != old.salt && new.nonce != old.nonce)
        #expect(try new.seed(Self.passphrase("new one")).secret.matches(seed.secret))
        #expect(throws: SealError.self) { try new.seed(Self.passphrase("old one")) }
    }

    @Test(arguments: [Int.min, 0, 1, 99_999, 10_000_001, Int.max])
    func iterationsOutOfBoundsAreRefused(iterations: Int) throws {
        let seed = try SpoolSeed.random()
        let error = #expect(throws: SealError.self) {
            try SpoolKey(seed, passphrase: Self.passphrase("x"), iterations: iterations)
        }
        #expect(error?.kind == .refused)
    }

    @Test func anEmptyPassphraseIsRefused() throws {
        let seed = try SpoolSeed.random()
        #expect(throws: SealError.self) { try SpoolKey(seed, passphrase: Self.passphrase("")) }
    }

    @Test(arguments: ["key", "iterations", "salt", "nonce", "seed"])
    func aChangedFieldDoesNotOpen(field: String) throws {
        let key = try SpoolKey(.random(), passphrase: Self.passphrase("p"))
        let text = try #require(SpoolKeyFile(key).rendered.text)
        var lines = text.split(separator: "\n").map(String.init)
        let index = try #require(lines.firstIndex { $0.hasPrefix(field + " ") })
        let last = lines[index].removeLast()
        lines[index].append(last == "1" ? "2" : "1")
        let body = lines.dropLast().joined(separator: "\n") + "\n"
        let forged = "\(body)check \(Checksum.sha256(Array(body.utf8)).hex)\n"
        let read = try SpoolKeyFile(Array(forged.utf8))
        #expect(throws: SealError.self) { try read.current.seed(Self.passphrase("p")) }
    }

    @Test func aDamagedFileIsToldFromAWrongPassphrase() throws {
        let bytes = SpoolKeyFile(try SpoolKey(.random(), passphrase: Self.passphrase("p"))).rendered
        for byte in bytes.indices {
            var broken = bytes
            broken[byte] ^= 4
            #expect(throws: SealError.self, "byte \(byte)") { try SpoolKeyFile(broken) }
            #expect(throws: SealError.self, "cut at \(byte)") { try SpoolKeyFile(Array(bytes.prefix(byte))) }
        }
        #expect(throws: SealError.self) { try SpoolKeyFile(bytes + [10]) }
        #expect(throws: SealError.self) { try SpoolKeyFile([UInt8](repeating: 65, count: 1 << 20)) }
    }

    @Test(arguments: [
        ("number with a sign", "iterations +100000"), ("leading zero", "iterations 0100000"),
        ("too few", "iterations 99999"), ("too many", "iterations 10000001"),
        ("no number", "iterations 99999999999999999999999"), ("capital digit", "nonce ABABABABABABABABABABABAB"),
        ("short", "salt 00"), ("empty", "salt "), ("other name", "sand 00"),
    ])
    func oddFilesAreRefused(reason: String, line: String) throws {
        let key = try SpoolKey(.random(), passphrase: Self.passphrase("p"))
        var lines = try #require(SpoolKeyFile(key).rendered.text).split(separator: "\n").map(String.init)
        let name = line.hasPrefix("sand") ? "salt" : String(line.prefix { $0 != " " })
        let index = try #require(lines.firstIndex { $0.hasPrefix(name + " ") })
        lines[index] = line
        let body = lines.dropLast().joined(separator: "\n") + "\n"
        #expect(throws: SealError.self, "\(reason)") {
            try SpoolKeyFile(Array("\(body)check \(Checksum.sha256(Array(body.utf8)).hex)\n".utf8))
        }
    }

    @Test func generationsAreKeptInOrder() throws {
        let keys = try (0..<8).map { _ in try SpoolKey(.random(), passphrase: Self.passphrase("p")) }
        var file = SpoolKeyFile(keys[0])
        for key in keys.dropFirst() { try file.use(key) }
        #expect(file.keys.map(\.id) == keys.reversed().map(\.id))
        #expect(try SpoolKeyFile(file.rendered) == file)
        let ninth = try SpoolKey(.random(), passphrase: Self.passphrase("p"))
        #expect(throws: SealError.self) { try file.use(ninth) }
        try file.use(keys[3])
        #expect(file.current.id == keys[3].id && file.keys.count == 8)
        file.forget(keys[3].id)
        file.forget(keys[0].id)
        #expect(file.current.id == keys[3].id && file.keys.count == 7)
    }

    // MARK: parts

    @Test func partsReadBack() throws {
        let previous = try SpoolSeed.random()
        let ring = try SealFixture(previous: [previous]).ring
        for role in [SegmentRole.listener, .runner] {
            let key = try #require(ring.writerKey(role))
            let read = try WriterKey(part: key.part)
            #expect(read.role == role && read.publicKey == ring.publicKey && read.secret.matches(key.secret))
        }
        #expect(ring.writerKey(.submitter) == nil)
        #expect(try KeyRing(part: ring.part).ids == ring.ids)
        #expect(PublicKey("\(ring.publicKey)") == ring.publicKey)
        #expect(KeyID("\(ring.publicKey.id)") == ring.publicKey.id)
    }

    static let zeros = String(repeating: "0", count: 64)
    @Test(arguments: [
        "", "\n", "pouch-writer", "pouch-writer 1 listener", "pouch-writer 2 listener \(zeros) \(zeros)\n",
        "pouch-writer 1 submitter \(zeros) \(zeros)\n", "pouch-writer 1 listener \(zeros) \(zeros)0\n",
        "pouch-writer 1 listener  \(zeros) \(zeros)\n", "pouch-writer 1 listener \(zeros) \(zeros)\n\n",
        "pouch-writer 1 listener \(zeros) \(zeros) \n", "pouch-writer 1 listener \(zeros) \(zeros.dropLast())A\n",
        "pouch-private 1\n", "pouch-private 1 \n", "pouch-private 1 \(zeros.dropLast())\n",
        "pouch-private 2 \(zeros)\n", "pouch-private 1" + String(repeating: " \(zeros)", count: 9) + "\n",
        String(repeating: " ", count: 5000),
    ])
    func oddPartsAreRefused(text: String) {
        let part = secretOf(Array(text.utf8))
        #expect(throws: SealError.self) { try WriterKey(part: part) }
        #expect(throws: SealError.self) { try KeyRing(part: part) }
    }

    @Test(arguments: ["", "00", String(repeating: "g", count: 64), String(repeating: "0", count: 65)])
    func oddPublicKeysAreRefused(text: String) {
        #expect(PublicKey(text) == nil)
        #expect(KeyID(text) == nil)
    }

    // MARK: secrets

    @Test func secretsAreWiped() throws {
        let pattern = (0..<64).map { UInt8($0 ^ 0xA5) }
        // Other tests may fill its half at this moment.
        for _ in 0..<2000 where CRYPTO_secure_used() > 24 << 10 { usleep(5000) }
        var source = pattern
        var secret: Secret? = Secret(wiping: &source)
        #expect(source.isEmpty)
        // The memory belongs to libcrypto's arena, which stays mapped: reading it later is harmless.
        let kept = try #require(secret?.withBytes { $0 })
        #expect(CRYPTO_secure_allocated(kept.baseAddress) == 1)
        #expect(Array(kept) == pattern)
        secret = nil
        // Others may use the place by now, and the arena keeps its list of free places there; none has these bytes.
        for start in stride(from: 0, to: 64, by: 8) {
            #expect(Array(kept[start..<start + 8]) != Array(pattern[start..<start + 8]))
        }
    }

    @Test func aFailedFillIsWipedToo() throws {
        var kept = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        #expect(throws: SealError.self) {
            try Secret(capacity: 64) { (memory) throws(SealError) in
                memory.copyBytes(from: [UInt8](repeating: 0xEE, count: 64))
                kept = memory
                throw .library("fail")
            }
        }
        #expect(kept.count { $0 == 0xEE } < 32)
    }

    @Test func secretsShowNothing() throws {
        let secret = secretOf(Array("swordfish".utf8))
        var text = "\(secret) \(String(reflecting: secret))"
        dump(secret, to: &text)
        let fixture = try SealFixture()
        dump(fixture.ring, to: &text)
        for shown in ["swordfish", Array("sword".utf8).hex, fixture.seed.secret.bytes.hex] {
            #expect(!text.contains(shown))
        }
    }

    @Test func secretsMatchByValue() {
        #expect(secretOf([1, 2, 3]).matches(secretOf([1, 2, 3])))
        #expect(!secretOf([1, 2, 3]).matches(secretOf([1, 2, 4])))
        #expect(!secretOf([1, 2, 3]).matches(secretOf([1, 2])))
        #expect(secretOf([]).matches(secretOf([])))
    }

    @Test func manySecretsOutgrowTheArena() throws {
        let secrets = try (0..<5000).map { _ in try Secret.random(32) }
        #expect(Set(secrets.map(\.bytes)).count == 5000)
        #expect(throws: Never.self) { try KeyPair(.random(32)) }
    }

    @Test func largeSecretsFit() throws {
        #expect(try Secret.random(100_000).count == 100_000)
    }
}
