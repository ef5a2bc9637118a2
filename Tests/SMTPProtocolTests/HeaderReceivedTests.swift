import MailModel
import Testing

@testable import SMTPProtocol

@Suite struct HeaderReceivedTests {
    static let id = QueueID(now: Timestamp(seconds: 1_795_341_600), random: 1)

    static func header(helo: String, address: String, to: [String] = []) -> String {
        let header = ReceivedHeader(
            helo: helo, clientAddress: address, hostname: "mx.example", transmission: .esmtp, queueID: id,
            recipients: to.compactMap { Mailbox($0) }, time: Timestamp(seconds: 1_795_341_600))
        return String(decoding: header.bytes, as: UTF8.self)
    }

    @Test func namesAllOfTheSession() {
        #expect(
            Self.header(helo: "client.example", address: "192.0.2.1", to: ["a@x.example"])
                == "Received: from client.example ([192.0.2.1])\r\n\tby mx.example (Pouch) with ESMTP\r\n"
                + "\tid \(Self.id)\r\n\tfor <a@x.example>;\r\n\tSun, 22 Nov 2026 10:00:00 +0000\r\n")
    }

    @Test(arguments: [
        ("client.example", "2001:db8::1", "client.example ([IPv6:2001:db8::1])"), ("x", "local", "x (local)"),
        ("", "192.0.2.1", "unknown ([192.0.2.1])"), ("a\r\nX: y", "::1", "a??X:?y ([IPv6:::1])"),
        ("a (b) \"c", "local", "a??b???c (local)"), ("[192.0.2.9]", "local", "[192.0.2.9] (local)"),
        ("ü", "a)b", "?? (a?b)"),
    ]) func sanitises(helo: String, address: String, text: String) {
        #expect(Self.header(helo: helo, address: address).hasPrefix("Received: from \(text)\r\n"))
    }

    @Test(arguments: [[], ["a@x.example", "b@x.example"]]) func namesNoneOfSeveral(recipients: [String]) {
        #expect(!Self.header(helo: "x", address: "local", to: recipients).contains(" for "))
    }

    @Test func cutsALongName() {
        let lines = Self.header(helo: String(repeating: "x", count: 5000), address: "local").split(separator: "\r\n")
        #expect(lines.allSatisfy { $0.utf8.count < 300 })
    }

    @Test(arguments: [
        ("Received: a\r\nreceived: b\r\n c\r\nX-Received: d\r\nRECEIVED : e\r\n\r\nReceived: body\r\n", 3), ("", 0),
        ("body\r\nReceived: a\r\n", 0),
    ]) func counts(header: String, count: Int) {
        #expect(ReceivedHeader.count(in: Array(header.utf8)) == count)
    }
}
