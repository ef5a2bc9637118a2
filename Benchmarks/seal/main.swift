// What sealing costs, without a disk: `what MB/s` a line for chunks of 64 KiB, `what microseconds` for whole small
// messages. `run` beside this file puts libcrypto's own speed next to it.

import Glibc
import QueueKit

/// The 80 bytes of a record's header, as far as sealing looks at them.
func header(kind: UInt8, order: UInt32) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 80)
    bytes[4] = kind
    for index in 0..<4 { bytes[8 + index] = UInt8(truncatingIfNeeded: order >> UInt32(8 * index)) }
    return bytes
}

let (envelopeKind, contentKind, commitKind): (UInt8, UInt8, UInt8) = (1, 2, 3)
let chunkSize = 64 << 10

/// CPU seconds of this process, as `openssl speed` counts: other work on the machine is not ours.
func cpuSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

/// Repeats `body` for about half a second and gives the CPU seconds that one call took.
func time(_ body: () throws -> Void) rethrows -> Double {
    try body()
    var (calls, spent) = (0, 0.0)
    while spent < 0.5 {
        let start = cpuSeconds()
        for _ in 0..<16 { try body() }
        spent += cpuSeconds() - start
        calls += 16
    }
    return spent / Double(calls)
}

func report(_ name: String, _ value: Double) { print("\(name) \((value * 10).rounded() / 10)") }
func megabytes(_ bytes: Int, _ seconds: Double) -> Double { Double(bytes) / seconds / 1e6 }

/// Lines like mail has them: some repeat, some don't.
func mailText(_ size: Int) -> [UInt8] {
    var (text, state) = ([UInt8](), UInt64(1))
    let words = ["the", "queue", "relay", "message", "of", "and", "delivered", "host", "example.org", "Subject:", "to"]
    while text.count < size {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        text += Array(words[Int(state >> 33) % words.count].utf8)
        text += state >> 60 == 0 ? [13, 10] : [32]
    }
    return Array(text.prefix(size))
}

func raw<Result>(_ bytes: inout [UInt8], _ body: (UnsafeMutableRawBufferPointer) throws -> Result) rethrows -> Result {
    try bytes.withUnsafeMutableBytes(body)
}

/// Seals a whole message as a writer does: envelope, content, commit.
func sealMessage(_ sealer: RecordSealer, envelope: [UInt8], content: [UInt8], into out: inout [UInt8]) throws {
    out.removeAll(keepingCapacity: true)
    var first = try sealer.begin(.envelope)
    try append(&first, header(kind: envelopeKind, order: 0), envelope, &out)
    sealer.recycle(first)
    var message = try sealer.begin(.message)
    try append(&message, header(kind: contentKind, order: 1), content, &out)
    try append(&message, header(kind: commitKind, order: 2), [UInt8](repeating: 0, count: 16), &out)
    sealer.recycle(message)
}

func append(
    _ stream: inout RecordSealer.Stream, _ header: [UInt8], _ payload: [UInt8], _ out: inout [UInt8]
) throws {
    try header.withUnsafeBytes { header in
        try payload.withUnsafeBytes { try stream.append(header: header, $0, to: &out) }
    }
}

func measureChunks(_ segment: SegmentSecret) throws {
    var (chunk, sealed) = (mailText(chunkSize), [UInt8](repeating: 0, count: chunkSize))
    var order: UInt32 = 1
    var stream = try RecordSealer(segment).begin(.message)
    var record = header(kind: contentKind, order: order)
    let sealing = try time {
        record = header(kind: contentKind, order: order)
        order += 1
        try raw(&record) { record in
            try raw(&chunk) { chunk in
                try raw(&sealed) { try stream.seal(header: record, UnsafeRawBufferPointer(chunk), into: $0) }
            }
        }
    }
    report("seal", megabytes(chunkSize, sealing))
    var opener = RecordOpener(segment).begin(.message)
    let opening = try time {
        try record.withUnsafeBytes { record in
            try sealed.withUnsafeBytes { sealed in
                try raw(&chunk) { try opener.open(header: record, sealed, into: $0) }
            }
        }
    }
    report("open", megabytes(chunkSize, opening))
}

func measureCompression() throws {
    let text = mailText(chunkSize)
    var deflater = try Deflater()
    var smallDeflater = try Deflater(isSmall: true)
    var records: [[UInt8]] = []
    let deflating = try time {
        deflater.reset()
        records = try text.withUnsafeBytes { try deflater.next($0).map { [$0] } ?? [] }
    }
    report("deflate", megabytes(chunkSize, deflating))
    let inflating = try time {
        var inflater = try Inflater(length: Int64(chunkSize))
        for record in records { _ = try record.withUnsafeBytes { try inflater.next($0) } }
    }
    report("inflate", megabytes(chunkSize, inflating))
    let small = mailText(4096)
    report(
        "deflate-4KiB-us",
        try time {
            smallDeflater.reset()
            _ = try small.withUnsafeBytes { try smallDeflater.next($0) }
        } * 1e6)
}

let secret = try Secret.random(32)
let segment = SegmentSecret(segmentID: (0..<16).map { UInt8($0) }, secret: secret)
let stretched = SegmentSecret(segmentID: (0..<16).map { UInt8($0) }, secret: secret, iterations: 100_000)
try measureChunks(segment)
try measureCompression()
var buffer: [UInt8] = []
let (sealer, stretchingSealer) = (try RecordSealer(segment), try RecordSealer(stretched))
let (envelope, content) = (mailText(300), mailText(4096))
report(
    "message-4KiB-us",
    try time { try sealMessage(sealer, envelope: envelope, content: content, into: &buffer) } * 1e6)
report(
    "message-4KiB-pbkdf2-each-us",
    try time { try sealMessage(stretchingSealer, envelope: envelope, content: content, into: &buffer) } * 1e6)
