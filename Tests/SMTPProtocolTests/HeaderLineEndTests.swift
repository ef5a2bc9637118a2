import Testing

@testable import SMTPProtocol

@Suite struct HeaderLineEndTests {
    @Test(arguments: [
        ("LF", "a\nb\n", "a\r\nb\r\n"), ("CRLF", "a\r\nb\r\n", "a\r\nb\r\n"), ("bare CR", "a\rb\r", "a\r\nb\r\n"),
        ("no end", "a\nb", "a\r\nb\r\n"), ("empty", "", ""), ("only LF", "\n", "\r\n"), ("only CR", "\r", "\r\n"),
        ("CR CR LF", "a\r\r\nb", "a\r\n\r\nb\r\n"), ("LF CR", "a\n\rb", "a\r\n\r\nb\r\n"),
        ("CR at the very end", "a\r", "a\r\n"), ("8-bit and NUL", "\u{e4}\0\n", "\u{e4}\0\r\n"),
        ("dots stay", "a\n.\nb\n..\n", "a\r\n.\r\nb\r\n..\r\n"), ("empty lines", "\n\n\r\n\r", "\r\n\r\n\r\n\r\n"),
    ]) func normalises(reason: String, input: String, output: String) {
        for size in 1...max(1, input.utf8.count) {
            #expect(Self.normalise(input, dot: false, by: size).0 == output, "\(reason), chunks of \(size)")
        }
    }

    @Test(arguments: [
        ("LF dot LF", "a\n.\nb\n", "a\r\n", true), ("CRLF dot CRLF", "a\r\n.\r\nb", "a\r\n", true),
        ("mixed ends", "a\n.\r\nb", "a\r\n", true), ("at the start", ".\nb", "", true),
        ("dot without end", "a\n.", "a\r\n.\r\n", false), ("dot CR at the end", "a\n.\r", "a\r\n.\r\n", false),
        ("two dots", "a\n..\nb", "a\r\n..\r\nb\r\n", false), ("dot and text", ".a\n", ".a\r\n", false),
        ("dot in a line", "a.\nb\n", "a.\r\nb\r\n", false), ("bare CR before", "a\r.\nb", "a\r\n.\r\nb\r\n", false),
        ("bare CR after", "a\n.\rb", "a\r\n.\r\nb\r\n", false),
        ("CR CR LF after", "\n.\r\r\nb", "\r\n.\r\n\r\nb\r\n", false),
        ("after an empty line", "\n\n.\n", "\r\n\r\n", true), ("space after", ".\n", "", true),
        ("dot space", ". \n", ". \r\n", false),
    ]) func endsAtLoneDot(reason: String, input: String, output: String, ended: Bool) {
        for size in 1...input.utf8.count {
            let result = Self.normalise(input, dot: true, by: size)
            #expect(result == (output, ended), "\(reason), chunks of \(size)")
        }
    }

    /// The output, and whether the dot ended it.
    static func normalise(_ input: String, dot: Bool, by size: Int) -> (String, Bool) {
        var normaliser = LineEndNormaliser(endsAtLoneDot: dot)
        var out: [UInt8] = []
        let bytes = Array(input.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            normaliser.append(Array(bytes[start..<min(start + size, bytes.count)]), to: &out)
        }
        let ended = normaliser.hasEnded
        normaliser.finish(into: &out)
        return (String(decoding: out, as: UTF8.self), ended)
    }
}
