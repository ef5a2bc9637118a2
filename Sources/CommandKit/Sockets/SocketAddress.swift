// Owns: internet addresses as the kernel has them, from numeric text, interface names and host names. Refuses: DNS of
// mail; that is Transport's.

import Glibc
import SystemPackage

/// An address with its port, ready for bind(2) or connect(2).
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// Numeric, with the scope of a link-local one: `192.0.2.1`, `fe80::1%eth0`.
    public let address: String
    public let port: UInt16
    public let isIPv6: Bool
    private let bytes: [UInt8]

    /// `192.0.2.1:25`, `[2001:db8::1]:25`.
    public var description: String { isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)" }

    /// Reads a numeric address, brackets allowed; nil for anything else.
    public init?(numeric text: String, port: UInt16) {
        let isBracketed = text.hasPrefix("[") && text.hasSuffix("]")
        let bare = isBracketed ? String(text.dropFirst().dropLast()) : text
        var inet4 = in_addr()
        // getaddrinfo would also take `1.2.3` and `0x7f.1`, which no configuration should mean.
        guard bare.contains(":") || inet_pton(AF_INET, bare, &inet4) == 1 else { return nil }
        guard let first = Self.resolve(bare, port: port, flags: AI_NUMERICHOST)?.first else { return nil }
        self = first
    }

    init?(_ pointer: UnsafePointer<sockaddr>, length: socklen_t, port: UInt16? = nil) {
        isIPv6 = Int32(pointer.pointee.sa_family) == AF_INET6
        guard isIPv6 || Int32(pointer.pointee.sa_family) == AF_INET, length <= 128 else { return nil }
        var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        guard getnameinfo(pointer, length, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0 else {
            return nil
        }
        address = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        var bytes = Array(UnsafeRawBufferPointer(start: pointer, count: Int(length)))
        // Both families keep the port in the third and fourth byte, big-endian.
        if let port { bytes.replaceSubrange(2..<4, with: [UInt8(port >> 8), UInt8(port & 255)]) }
        self.port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
        self.bytes = bytes
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        // A copy with the alignment that the kernel's types have.
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(bytes.count)) }
        }
    }

    /// All addresses that `listen on` means: the numeric address itself, those of a network interface, or those of a
    /// host name (`localhost`).
    /// - Throws: 78 when it names nothing on this machine.
    public static func all(named text: String, port: UInt16) throws(CommandFailure) -> [SocketAddress] {
        if let numeric = SocketAddress(numeric: text, port: port) { return [numeric] }
        guard !text.utf8.contains(0), !text.isEmpty else {
            throw CommandFailure(.configuration, "cannot listen on \"\(text)\": it is no address.")
        }
        let ofInterface = try interfaceAddresses(text, port: port)
        if !ofInterface.isEmpty { return ofInterface }
        let isName = text.split(separator: ".").last?.contains { $0.isLetter } ?? false
        if isName, let found = resolve(text, port: port, flags: 0), !found.isEmpty { return found }
        throw CommandFailure(
            .configuration,
            "cannot listen on \(text): it is no address, no network interface and no host name known here.")
    }

    private static func resolve(_ host: String, port: UInt16, flags: Int32) -> [SocketAddress]? {
        var hints = addrinfo()
        hints.ai_flags = flags
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard !host.isEmpty, !host.utf8.contains(0), getaddrinfo(host, nil, &hints, &list) == 0 else { return nil }
        defer { freeaddrinfo(list) }
        var result: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let pointer = entry.ai_addr,
                let address = SocketAddress(pointer, length: entry.ai_addrlen, port: port), !result.contains(address)
            {
                result.append(address)
            }
            next = entry.ai_next
        }
        return result
    }

    private static func interfaceAddresses(_ name: String, port: UInt16) throws(CommandFailure) -> [SocketAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { throw CommandFailure(.osError, "list the network interfaces", .last) }
        defer { freeifaddrs(list) }
        var result: [SocketAddress] = []
        var next = list
        while let entry = next?.pointee {
            if let pointer = entry.ifa_addr, String(cString: entry.ifa_name) == name {
                let isIPv6 = Int32(pointer.pointee.sa_family) == AF_INET6
                let length = isIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
                if let address = SocketAddress(pointer, length: socklen_t(length), port: port) {
                    result.append(address)
                }
            }
            next = entry.ifa_next
        }
        return result
    }
}
