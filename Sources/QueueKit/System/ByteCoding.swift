// Owns: integers and fields in bytes, little-endian, read without ever trusting a length. Refuses: knowing what the
// fields mean.

/// Puts integers and tagged fields after one another.
struct FieldWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    /// One byte of tag, a length of four bytes, the content.
    mutating func field(_ tag: UInt8, _ content: some Collection<UInt8>) {
        bytes.append(tag)
        bytes.appendInteger(UInt32(content.count))
        bytes.append(contentsOf: content)
    }

    mutating func field(_ tag: UInt8, _ text: String) { field(tag, text.utf8) }

    mutating func field(_ tag: UInt8, _ value: some FixedWidthInteger) {
        bytes.append(tag)
        bytes.appendInteger(UInt32(value.bitWidth / 8))
        bytes.appendInteger(value)
    }

    mutating func field(_ tag: UInt8, _ body: (inout FieldWriter) -> Void) {
        bytes.append(tag)
        let place = bytes.count
        bytes.appendInteger(UInt32(0))
        body(&self)
        bytes.setInteger(UInt32(bytes.count - place - 4), at: place)
    }

    mutating func append(_ more: some Collection<UInt8>) { bytes.append(contentsOf: more) }
}

/// Gives the fields of hostile bytes one by one; nil ends, and `isMalformed` tells whether for a bad reason.
struct FieldReader {
    private var rest: ArraySlice<UInt8>
    private(set) var isMalformed = false

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }
    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func next() -> (tag: UInt8, content: ArraySlice<UInt8>)? {
        guard let tag = rest.first else { return nil }
        guard let length: UInt32 = rest.integer(at: 1), rest.count - 5 >= Int(length) else {
            isMalformed = true
            rest = []
            return nil
        }
        let start = rest.startIndex + 5
        let content = rest[start..<start + Int(length)]
        rest = rest[content.endIndex...]
        return (tag, content)
    }
}

extension Array where Element == UInt8 {
    mutating func appendInteger(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    mutating func setInteger(_ value: some FixedWidthInteger, at offset: Int) {
        Swift.withUnsafeBytes(of: value.littleEndian) { raw in
            for (index, byte) in raw.enumerated() { self[offset + index] = byte }
        }
    }
}

extension Collection where Element == UInt8, Index == Int {
    /// The integer that begins `offset` bytes after the start; nil when it doesn't lie whole inside.
    func integer<Value: FixedWidthInteger>(at offset: Int = 0) -> Value? {
        let size = MemoryLayout<Value>.size
        guard offset >= 0, count >= size, offset <= count - size else { return nil }
        var value: Value = 0
        for index in (0..<size).reversed() {
            value =
                Value(truncatingIfNeeded: UInt64(truncatingIfNeeded: value) << 8)
                | Value(truncatingIfNeeded: self[startIndex + offset + index])
        }
        return value
    }

    /// Valid UTF-8, or nil.
    var text: String? { String(validating: self, as: UTF8.self) }
}
