import CommandKit
import Glibc
import Testing

@testable import mail_enqueue

@Suite struct MessageInputTests {
    /// A pipe that holds `bytes`, its writing end closed.
    static func pipe(_ bytes: [UInt8]) -> Int32 {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { return -1 }
        _ = bytes.withUnsafeBytes { write(ends[1], $0.baseAddress, $0.count) }
        close(ends[1])
        return ends[0]
    }

    @Test(arguments: [true, false]) func readsAPipe(_ endsAtLoneDot: Bool) throws {
        let descriptor = Self.pipe(Array("A: b\n\none\n.\ntwo".utf8))
        defer { close(descriptor) }
        var input = MessageInput(descriptor: descriptor, endsAtLoneDot: endsAtLoneDot)
        try input.readOpening()
        #expect(input.isWhole)
        #expect(input.header.fields.map(\.name) == ["A"])
        let rest = String(decoding: input.header.rest, as: UTF8.self)
        #expect(rest == (endsAtLoneDot ? "one\r\n" : "one\r\n.\r\ntwo\r\n"))
        #expect(try input.next() == nil)
    }

    @Test func waitsOnAPipeThatDoesNotBlock() async throws {
        var ends: [Int32] = [-1, -1]
        try #require(Glibc.pipe(&ends) == 0)
        let (reading, writing) = (ends[0], ends[1])
        defer { close(reading) }
        #expect(fcntl(reading, F_SETFL, O_NONBLOCK) == 0)
        let reader = Task.detached {
            var input = MessageInput(descriptor: reading, endsAtLoneDot: true)
            try input.readOpening()
            return input.header.rest
        }
        #expect(write(writing, "\nx", 2) == 2)
        close(writing)
        #expect(try await reader.value == Array("x\r\n".utf8))
    }

    @Test(arguments: [".", "/dev/null"]) func refusesWhatCannotBeRead(_ path: String) {
        // A folder, and a file opened for writing only.
        let descriptor = open(path, path == "." ? O_RDONLY : O_WRONLY)
        defer { close(descriptor) }
        var input = MessageInput(descriptor: descriptor, endsAtLoneDot: true)
        let error = #expect(throws: CommandFailure.self) { try input.readOpening() }
        #expect(error?.status == .noInput)
    }
}
