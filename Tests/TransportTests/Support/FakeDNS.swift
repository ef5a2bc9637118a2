// Owns: a name server for tests: one UDP socket on loopback, answers written by hand. Refuses: libresolv's own encoder;
// the packets are built here.

import Glibc
import Synchronization

@testable import Transport

/// Packets of DNS, as small as the tests need them.
enum DNSPacket {
    enum Data {
        case mx(UInt16, String), a([UInt8]), aaaa([UInt8]), cname(String), soa(minimum: UInt32), raw(UInt16, [UInt8])
        case ptr(String)
    }
    struct Record {
        var owner: String
        var ttl: UInt32 = 300
        var data: Data
    }

    static func name(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }

    private static func two(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 255)] }
    private static func four(_ value: UInt32) -> [UInt8] { two(UInt16(value >> 16)) + two(UInt16(value & 0xffff)) }

    private static func body(_ data: Data) -> (UInt16, [UInt8]) {
        switch data {
        case .mx(let preference, let host): (15, two(preference) + name(host))
        case .a(let bytes): (1, bytes)
        case .aaaa(let bytes): (28, bytes)
        case .cname(let host): (5, name(host))
        case .ptr(let host): (12, name(host))
        case .soa(let minimum):
            (
                6,
                name("ns.example") + name("admin.example")
                    + [1, 2, 3, 4, 5].flatMap { four($0) }
                    .dropLast(4) + four(minimum)
            )
        case .raw(let type, let bytes): (type, bytes)
        }
    }

    private static func bytes(_ record: Record) -> [UInt8] {
        let (type, body) = body(record.data)
        return name(record.owner) + two(type) + two(1) + four(record.ttl) + two(UInt16(body.count)) + body
    }

    /// An answer to `question`, whose question section is repeated.
    static func answer(
        to question: [UInt8], code: UInt8 = 0, truncated: Bool = false, _ records: [Record] = [],
        authority: [Record] = []
    ) -> [UInt8] {
        let end = (question[12...].firstIndex(of: 0) ?? question.count - 5) + 5
        var packet = Array(question[..<2]) + [truncated ? 0x83 : 0x81, 0x80 | code]
        packet += two(1) + two(UInt16(records.count)) + two(UInt16(authority.count)) + two(0)
        packet += question[12..<end]
        return packet + records.flatMap(bytes) + authority.flatMap(bytes)
    }

    static func question(_ text: String, type: UInt16, id: UInt16 = 77) -> [UInt8] {
        two(id) + [1, 0] + two(1) + two(0) + two(0) + two(0) + name(text) + two(type) + two(1)
    }

    /// Name and type asked for.
    static func read(_ question: [UInt8]) -> (String, UInt16) {
        var (labels, index): ([String], Int) = ([], 12)
        while index < question.count, question[index] > 0 {
            let end = index + 1 + Int(question[index])
            guard end < question.count else { break }
            labels.append(String(decoding: question[(index + 1)..<end], as: UTF8.self))
            index = end
        }
        guard index + 2 < question.count else { return ("", 0) }
        return (
            labels.joined(separator: ".").lowercased(), UInt16(question[index + 1]) << 8 | UInt16(question[index + 2])
        )
    }
}

/// Answers each question with the packets that the script returns; none is silence.
final class FakeDNS: Sendable {
    let server: Resolver.Server
    private let socket: RawSocket
    private let asked = Mutex<[String]>([])

    init(_ script: @escaping @Sendable (_ name: String, _ type: UInt16, _ question: [UInt8]) -> [[UInt8]]) throws {
        let (socket, port) = try RawSocket.listen(SOCK_DGRAM)
        (self.socket, server) = (socket, Resolver.Server(address: "127.0.0.1", port: port))
        startThread { [weak self] in
            var buffer = [UInt8](repeating: 0, count: 1024)
            while true {
                var peer = sockaddr_in()
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                let got = withUnsafeMutablePointer(to: &peer) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        recvfrom(socket.descriptor, &buffer, buffer.count, 0, $0, &length)
                    }
                }
                guard got > 12, let self else { return }
                let question = Array(buffer.prefix(got))
                let (name, type) = DNSPacket.read(question)
                self.asked.withLock { $0.append("\(name) \(type)") }
                for packet in script(name, type, question) {
                    _ = RawSocket.withAddress(peer) {
                        sendto(socket.descriptor, packet, packet.count, 0, $0, $1)
                    }
                }
            }
        }
    }

    /// Ends the thread.
    func stop() { shutdown(socket.descriptor, Int32(SHUT_RDWR)) }

    var questions: [String] { asked.withLock { $0 } }
}
