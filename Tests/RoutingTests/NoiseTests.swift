import MailModel
import Testing

@testable import Routing

/// Fixtures damaged at random, the same way in every run: whatever a file holds, it is read or refused, never a trap.
/// Numbers of a linear congruential generator (Knuth's MMIX constants).
struct Noise: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}

@Suite struct NoiseTests {
    private static let scraps = [
        "{", "}", "<", ">", "!", "=", ",", "\"", "'", "\\", "\\\n", "\n", "#", "$", "$x", "%{", "]", "[", ":", "/", "@",
        "+", "|",
        "\u{0}", "\u{301}", "ü", "\u{2028}", "99999999999999999999", "-1", "error:550 ", ":include:/", "::", "\r\n",
        " ", "\t",
    ]

    private func damage(_ text: String, _ noise: inout Noise) -> String {
        var scalars = Array(text.unicodeScalars)
        for _ in 0..<Int.random(in: 1...4, using: &noise) {
            let place = Int.random(in: 0...scalars.count, using: &noise)
            switch Int.random(in: 0..<3, using: &noise) {
            case 0:
                scalars.insert(contentsOf: (Self.scraps.randomElement(using: &noise) ?? "").unicodeScalars, at: place)
            case 1: scalars.removeSubrange(place..<min(scalars.count, place + Int.random(in: 0..<9, using: &noise)))
            default:
                let end = min(scalars.count, place + Int.random(in: 0..<20, using: &noise))
                scalars.insert(
                    contentsOf: Array(scalars[place..<end]), at: Int.random(in: 0...scalars.count, using: &noise))
            }
        }
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    @Test(arguments: ["good", "broken"])
    func configurations(kind: String) throws {
        var noise = Noise(state: 1)
        var refused = 0
        for name in Fixture.names(kind, suffix: ".conf") {
            let text = try Fixture.text("\(kind)/\(name)")
            for _ in 0..<40 {
                guard let error = mistake(damage(text, &noise)) else { continue }
                refused += 1
                #expect(
                    error.lines.count == (error.line > 0 ? 3 * (1 + error.further.count) : 1) && !error.message.isEmpty)
            }
        }
        #expect(refused > 100)
    }

    @Test func tablesAndValues() {
        var noise = Noise(state: 2)
        let seeds = [
            "root: fred, \"|cmd -x\", :include:/a, /b\n  x@example.org\n[::1] error:550 5.1.1 x\n",
            "# @list\na\n10.0.0.0/8\n",
            "smtp://[2001:db8::1]:25", "%{user.directory[0:-1]:lowercase}/x", "1h30m", "35M", "*.example.org",
            "1000:1000:/home",
        ]
        for seed in seeds {
            for _ in 0..<500 {
                let text = damage(seed, &noise)
                _ = try? TableText.entries(SourceText(path: "t", text: text), table: "t")
                _ = try? AliasValue.parse(text)
                _ = try? IncludeFile.parse(text)
                _ = try? RelayURL.read(text)
                _ = try? SubmitConfiguration.parse(text: text, path: "s")
                _ = (FormatString.mistake(in: text), Values.duration(text), Values.size(text), Network(text))
                for service in TableService.allCases { _ = (service.wrongKey(text), service.wrongValue(text)) }
            }
        }
    }
}
