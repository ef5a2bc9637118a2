import Glibc
import MailModel
import SystemPackage
import Testing

@testable import mail_relay

/// A directory that is gone after the test.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/agent-test.XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { $0.baseAddress.map { mkdtemp($0) != nil } ?? false }
        if !made { throw Errno(rawValue: errno) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    func list(_ name: String) -> [String] { Self.names("\(path)/\(name)") }

    func mode(_ name: String) -> UInt32? {
        var status = stat()
        return lstat("\(path)/\(name)", &status) == 0 ? UInt32(status.st_mode) & 0o7777 : nil
    }

    func content(_ name: String) -> [UInt8] {
        let file = open("\(path)/\(name)", O_RDONLY)
        defer { close(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = block.withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
            guard count > 0 else { return bytes }
            bytes += block[..<count]
        }
    }

    private static func names(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private static func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in names(path) { remove("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}

/// Two ends of a pipe.
final class Pipe {
    private(set) var reader: Int32 = -1
    private(set) var writer: Int32 = -1

    init() throws {
        var ends: [Int32] = [0, 0]
        let status = pipe(&ends)
        try #require(status == 0)
        (reader, writer) = (ends[0], ends[1])
    }

    /// With something in it already, and nothing to follow.
    convenience init(holding bytes: [UInt8]) throws {
        try self.init()
        #expect(write(writer, bytes, bytes.count) == bytes.count)
        close(writer)
        writer = -1
    }

    deinit { for end in [reader, writer] where end >= 0 { close(end) } }
}

/// A FIFO that a script writes a line to, read within a bound.
final class Fifo {
    let path: String
    private let descriptor: Int32

    init(_ path: String) throws {
        self.path = path
        guard mkfifo(path, 0o600) == 0 else { throw Errno(rawValue: errno) }
        // Writing too: opening does not wait for the other side, and there is no end.
        descriptor = open(path, O_RDWR | O_NONBLOCK)
    }

    deinit { close(descriptor) }

    /// - Parameter seconds: how long to wait; the result is empty then.
    func line(within seconds: Int32 = 20) -> String {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, seconds * 1000) > 0 else { return "" }
        var block = [UInt8](repeating: 0, count: 256)
        let count = block.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        return String(decoding: block.prefix(max(0, count)), as: UTF8.self)
    }
}

func mailbox(_ text: String) throws -> Mailbox { try #require(Mailbox(text)) }
