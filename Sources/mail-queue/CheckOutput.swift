// Owns: how findings of a check look, as lines and as JSON; scripts depend on both. Refuses: finding them.

import CommandKit
import QueueKit

struct CheckOutput {
    let json: Bool
    private var lines = OutputLines()

    init(json: Bool) { self.json = json }

    /// What `--fix` did: a sentence without its full stop.
    mutating func mended(_ text: String) throws {
        let value: JSONValue = ["level": "mended", "text": .string(text)]
        try lines.add(json ? value.rendered : "mended: \(EscapedText.plain(text))")
    }

    mutating func add(_ finding: CheckFinding) throws {
        guard json else {
            // The sentences of the layout, and of failed calls, name their path themselves.
            let isNamed = finding.sentence.contains(finding.path)
            let text = isNamed ? finding.sentence : "\(finding.path): \(finding.sentence)"
            return try lines.add("\(finding.level.rawValue): \(EscapedText.plain(text))")
        }
        let value: JSONValue = [
            "level": .string(finding.level.rawValue), "kind": .string(finding.kind.rawValue),
            "path": .string(finding.path), "id": finding.message.map { .string($0.description) } ?? .null,
            "text": .string(finding.sentence),
        ]
        try lines.add(value.rendered)
    }

    mutating func end(_ counts: CheckCounts, _ findings: [CheckFinding]) throws {
        func count(_ level: CheckFinding.Level) -> Int { findings.count { $0.level == level } }
        try lines.add(
            json
                ? Self.summary(counts, faults: count(.fault), notes: count(.note), unchecked: count(.unchecked))
                : Self.sentence(counts, faults: count(.fault), notes: count(.note)))
        try flush()
    }

    mutating func flush() throws { try lines.flush() }

    private static func sentence(_ counts: CheckCounts, faults: Int, notes: Int) -> String {
        let parts = [
            number(counts.segments, "segment"), number(counts.journals, "journal"), number(counts.drops, "drop"),
            "\(number(counts.messages, "message")) in segments (\(counts.octets / 1024) Kbytes)",
            "\(counts.quarantined) in quarantine",
        ]
        return "checked \(parts.joined(separator: ", ")): \(number(faults, "fault")), \(number(notes, "note"))"
    }

    private static func number(_ count: Int, _ word: String) -> String { "\(count) \(word)\(count == 1 ? "" : "s")" }

    private static func summary(_ counts: CheckCounts, faults: Int, notes: Int, unchecked: Int) -> String {
        let value: JSONValue = [
            "level": "summary", "segments": .int(Int64(counts.segments)), "journals": .int(Int64(counts.journals)),
            "messages": .int(Int64(counts.messages)), "size": .int(counts.octets), "drops": .int(Int64(counts.drops)),
            "spares": .int(Int64(counts.spares)), "quarantined": .int(Int64(counts.quarantined)),
            "sealed": .int(Int64(counts.sealed)), "faults": .int(Int64(faults)), "notes": .int(Int64(notes)),
            "unchecked": .int(Int64(unchecked)),
        ]
        return value.rendered
    }
}
