// What libcrypto computes through our wrappers, against what the standards print.

import Testing

@testable import QueueKit

@Suite struct SealVectorTests {
    @Test(arguments: VectorBlock.read("hkdf-sha256.txt"))
    func hkdf(block: VectorBlock) throws {
        let key = try block["salt"].lending { salt in
            try block["IKM"].lending { material in try HKDF.extract(salt: salt, material) }
        }
        #expect(key.bytes == block["PRK"])
        #expect(try HKDF.expand(key, info: block["info"], count: block.number("L")).bytes == block["OKM"])
        let both = try HKDF.derive(
            block.secret("IKM"), salt: block["salt"], info: block["info"], count: block.number("L"))
        #expect(both.bytes == block["OKM"])
    }

    @Test func hkdfRefusesMoreThanItCanGive() {
        let key = secretOf(.init(repeating: 1, count: 32))
        #expect(throws: SealError.self) { try HKDF.expand(key, info: [], count: 255 * 32 + 1) }
        #expect(throws: Never.self) { try HKDF.expand(key, info: [], count: 255 * 32) }
    }

    @Test(arguments: VectorBlock.read("pbkdf2-hmac-sha256.txt"))
    func pbkdf2(block: VectorBlock) throws {
        let expected = block["output"]
        let key = try PBKDF2.derive(
            block.secret("password"), salt: block["salt"], iterations: block.number("iterations"),
            count: expected.count)
        #expect(key.bytes == expected)
    }

    @Test(arguments: VectorBlock.read("x25519.txt"))
    func x25519(block: VectorBlock) throws {
        guard block.values["start"] != nil else {
            #expect(try X25519.shared(block.secret("scalar"), with: block["u"]).bytes == block["output"])
            return
        }
        var (key, point) = (block["start"], block["start"])
        for round in 1...1000 {
            (key, point) = (try X25519.shared(secretOf(key), with: point).bytes, key)
            if round == 1 { #expect(key == block["rounds1"]) }
        }
        #expect(key == block["rounds1000"])
    }

    @Test(arguments: [0, 1]) func x25519RefusesPointsOfSmallOrder(first: UInt8) {
        let point = [first] + [UInt8](repeating: 0, count: 31)
        #expect(throws: SealError.self) { try X25519.shared(try .random(32), with: point) }
    }

    @Test(arguments: VectorBlock.read("aes-256-gcm.txt"))
    func gcm(block: VectorBlock) throws {
        let opened = try CipherContext.opened(
            block["CT"] + block["Tag"], key: block.secret("Key"), nonce: block["IV"], associated: block["AAD"])
        guard block.values["PT"] != nil else {
            #expect(opened == nil, "must not open")
            return
        }
        #expect(opened?.bytes == block["PT"])
        let sealed = try CipherContext.sealed(
            block.secret("PT"), key: block.secret("Key"), nonce: block["IV"], associated: block["AAD"])
        #expect(sealed == block["CT"] + block["Tag"])
    }

    @Test func whatDoesNotOpenLeavesZeros() throws {
        let key = try Secret.random(32)
        let (nonce, sealed) = ([UInt8](repeating: 1, count: 12), [UInt8](repeating: 7, count: 100))
        var out = [UInt8](repeating: 9, count: 100)
        var cipher = try CipherContext(.opening, key: key)
        let tag = [UInt8](repeating: 0, count: 16)
        let authentic = try sealed.lending { sealed in
            try nonce.lending { nonce in
                try tag.lending { tag in
                    try out.lendingMutable { out in
                        try cipher.open(sealed, nonce: nonce, associated: [], tag: tag, into: out)
                    }
                }
            }
        }
        #expect(!authentic)
        #expect(out == [UInt8](repeating: 0, count: 100))
    }

    // MARK: RFC 9180

    private static let hpke = VectorBlock.read("hpke.txt")
    private static func blocks(_ type: String) -> [VectorBlock] { hpke.filter { $0.values["type"] == type } }

    private static func setup(_ mode: Int) throws -> (sender: HPKE.Context, receiver: HPKE.Context) {
        let block = try #require(blocks("setup").first { $0.number("mode") == mode })
        let mode: HPKE.Mode =
            mode == 0 ? .base : .preShared(key: block.secret("psk"), id: block["psk_id"])
        let recipient = try KeyPair(block.secret("skRm"))
        let ephemeral = try KeyPair(block.secret("skEm"))
        let (sender, enc) = try HPKE.sender(
            to: recipient.publicKey, mode: mode, info: block["info"], ephemeral: ephemeral)
        #expect(enc == block["enc"])
        return (sender, try HPKE.receiver(enc, recipient, mode: mode, info: block["info"]))
    }

    @Test(arguments: blocks("setup"))
    func hpkeSetup(block: VectorBlock) throws {
        for (material, secret, publicKey) in [("ikmR", "skRm", "pkRm"), ("ikmE", "skEm", "pkEm")] {
            let pair = try HPKE.deriveKeyPair(block.secret(material))
            #expect(pair.secret.bytes == block[secret])
            #expect(pair.publicKey.bytes == block[publicKey])
        }
        let (recipient, ephemeral) = (try KeyPair(block.secret("skRm")), try KeyPair(block.secret("skEm")))
        let (shared, enc) = try HPKE.encapsulate(to: recipient.publicKey, ephemeral: ephemeral)
        #expect(enc == block["enc"])
        #expect(shared.bytes == block["shared_secret"])
        #expect(try HPKE.decapsulate(enc, recipient).bytes == block["shared_secret"])
        let (sender, receiver) = try Self.setup(block.number("mode"))
        for context in [sender, receiver] {
            #expect(context.key.bytes == block["key"])
            #expect(context.baseNonce.bytes == block["base_nonce"])
            #expect(context.exporterSecret.bytes == block["exporter_secret"])
        }
    }

    @Test(arguments: [0, 1])
    func hpkeMessages(mode: Int) throws {
        var (sender, receiver) = try Self.setup(mode)
        for block in Self.blocks("encryption") where block.number("mode") == mode {
            while sender.sequence < block.number("sequence") {
                let between = try sender.seal(secretOf([1]), associated: [])
                _ = try receiver.open(between, associated: [])
            }
            #expect(try sender.seal(block.secret("pt"), associated: block["aad"]) == block["ct"])
            #expect(throws: SealError.self) { try receiver.open(block["ct"], associated: [0]) }
            #expect(try receiver.open(block["ct"], associated: block["aad"]).bytes == block["pt"])
        }
        #expect(sender.sequence == 257)
    }

    @Test(arguments: blocks("export"))
    func hpkeExports(block: VectorBlock) throws {
        let (sender, receiver) = try Self.setup(block.number("mode"))
        for context in [sender, receiver] {
            let value = try context.export(block["exporter_context"], count: block.number("L"))
            #expect(value.bytes == block["exported_value"])
        }
    }

    @Test func hpkeRefusesHalfAPreSharedKey() throws {
        let pair = try HPKE.deriveKeyPair(try .random(32))
        for (count, id) in [(31, [UInt8(1)]), (0, [1]), (32, [])] {
            let mode = HPKE.Mode.preShared(key: try .random(count), id: id)
            #expect(throws: SealError.self) { try HPKE.sender(to: pair.publicKey, mode: mode, info: []) }
        }
    }
}
