// Owns: the crossing to libresolv: one question, its packet read into Swift values. Refuses: threads and caches
// (Resolver).

import CLinux
import Glibc

/// A name and a type of record, with the server to ask. `ask()` blocks for as long as the server takes.
struct DNSQuestion: Sendable {
    enum Kind: UInt16, Hashable, Sendable { case a = 1, ptr = 12, mx = 15, aaaa = 28 }

    var name: String
    var kind: Kind
    var server: Resolver.Server?
    /// For the first try at each server; libresolv doubles it on each round.
    var timeoutSeconds: Int32
    var attempts: Int32

    /// Records of one answer that are read; 20 exchangers and a chain of names fit well.
    static let recordLimit = 128

    func ask() -> DNSAnswer {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(POUCH_DNS_ANSWER_SIZE)) { packet in
            var length = 0
            let status = pouch_dns_ask(
                name, kind.rawValue, server?.address, server?.port ?? 53, timeoutSeconds, attempts,
                packet.baseAddress, packet.count, &length)
            guard length > 0 else { return DNSAnswer(Self.outcome(status)) }
            return Self.read(UnsafeBufferPointer(rebasing: packet[..<length]))
        }
    }

    /// Reads a packet; hostile bytes give `.malformed`.
    static func read(_ packet: UnsafeBufferPointer<UInt8>) -> DNSAnswer {
        withUnsafeTemporaryAllocation(of: pouch_dns_record.self, capacity: recordLimit) { records in
            var (count, negativeTTL) = (0, UInt32(0))
            let status = pouch_dns_read(
                packet.baseAddress, packet.count, records.baseAddress, records.count, &count, &negativeTTL)
            let outcome = outcome(status)
            guard outcome != .malformed else { return DNSAnswer(.malformed) }
            return DNSAnswer(
                outcome, records: records.prefix(count).compactMap(DNSRecord.init), negativeTTL: negativeTTL)
        }
    }

    private static func outcome(_ status: pouch_dns_status) -> DNSAnswer.Outcome {
        switch status {
        case POUCH_DNS_ANSWERED: .answered
        case POUCH_DNS_NO_SUCH_NAME: .noSuchName
        case POUCH_DNS_SERVER_FAILURE: .serverFailure
        case POUCH_DNS_NO_ANSWER: .noAnswer
        case POUCH_DNS_BAD_NAME: .badName
        case POUCH_DNS_NO_RESOLVER: .noResolver
        default: .malformed
        }
    }
}

extension DNSRecord {
    fileprivate init?(_ raw: pouch_dns_record) {
        let target = withUnsafeBytes(of: raw.target) { Self.text($0) }
        owner = withUnsafeBytes(of: raw.owner) { Self.text($0) }
        ttl = raw.ttl
        switch Int(raw.type) {
        case Int(POUCH_DNS_MX): value = .mx(preference: raw.preference, host: target)
        case Int(POUCH_DNS_CNAME): value = .cname(target)
        case Int(POUCH_DNS_PTR): value = .ptr(target)
        case Int(POUCH_DNS_A):
            guard let text = withUnsafeBytes(of: raw.address, { IPAddressText.make(AF_INET, $0) }) else { return nil }
            value = .a(text)
        case Int(POUCH_DNS_AAAA):
            guard let text = withUnsafeBytes(of: raw.address, { IPAddressText.make(AF_INET6, $0) }) else { return nil }
            value = .aaaa(text)
        default: return nil
        }
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}
