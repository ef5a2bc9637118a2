// Owns: a blocking socket for tests, with a bound on every wait. Refuses: NIO: what is tested must not test itself.

import Glibc

enum RawSocketError: Error { case failed(String, Int32) }

final class RawSocket: Sendable {
    let descriptor: Int32
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }
    deinit { close(descriptor) }

    static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    static func withAddress<R>(_ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    static func connect(to port: UInt16, receiveBuffer: Int32? = nil) throws -> RawSocket {
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let socket = RawSocket(descriptor)
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        let status = withAddress(loopback(port)) { Glibc.connect(descriptor, $0, $1) }
        guard status == 0 else { throw RawSocketError.failed("connect", errno) }
        return socket
    }

    /// A bound socket on a free port of 127.0.0.1, listening when it is a stream.
    static func listen(_ kind: __socket_type = SOCK_STREAM) throws -> (RawSocket, UInt16) {
        let socket = RawSocket(Glibc.socket(AF_INET, Int32(kind.rawValue), 0))
        guard withAddress(loopback(0), { bind(socket.descriptor, $0, $1) }) == 0,
            kind == SOCK_DGRAM || Glibc.listen(socket.descriptor, 1024) == 0
        else { throw RawSocketError.failed("listen", errno) }
        return (socket, socket.port)
    }

    static func pair() throws -> (RawSocket, RawSocket) {
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
            throw RawSocketError.failed("socketpair", errno)
        }
        return (RawSocket(ends[0]), RawSocket(ends[1]))
    }

    var port: UInt16 {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = getsockname(descriptor, $0, &length)
            }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    func accept() throws -> RawSocket {
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { throw RawSocketError.failed("accept", errno) }
        return RawSocket(accepted)
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var start = 0
        while start < bytes.count {
            let sent = bytes[start...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { throw RawSocketError.failed("send", errno) }
            start += sent
        }
    }

    /// Empty at the end of the stream.
    func read() throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let got = recv(descriptor, &buffer, buffer.count, 0)
        guard got >= 0 else { throw RawSocketError.failed("recv", errno) }
        return Array(buffer.prefix(got))
    }

    func readToEnd() throws -> String {
        var all: [UInt8] = []
        while true {
            let bytes = try read()
            if bytes.isEmpty { return String(decoding: all, as: UTF8.self) }
            all += bytes
        }
    }

    /// Reads until the last line begins with `code` and a space.
    func expect(_ code: String) throws {
        var line = try readLine()
        while line.hasPrefix(code + "-") { line = try readLine() }
        guard line.hasPrefix(code + " ") else { throw RawSocketError.failed(line, 0) }
    }

    func readLine() throws -> String {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while recv(descriptor, &byte, 1, 0) == 1 {
            if byte == 10 { return String(decoding: line.dropLast(), as: UTF8.self) }
            line.append(byte)
        }
        throw RawSocketError.failed("end of stream after \(String(decoding: line, as: UTF8.self))", errno)
    }

    func endOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Closing now sends a reset.
    func resetOnClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }
}

/// Runs blocking code in a thread of its own, so that the tests' few cooperative threads stay free.
func blocking<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        startThread { continuation.resume(with: Result { try body() }) }
    }
}

func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(Box(body)).toOpaque()
    let status = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
            return nil
        }, argument)
    precondition(status == 0, "no thread for a test")
    pthread_detach(thread)
}
