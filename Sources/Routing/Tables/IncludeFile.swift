// Owns: `:include:` files and their text. Refuses: deciding which may be read: the program's user does.

/// One target or a list a line; `#` begins a comment; the bound is that of the whole tree.
public enum IncludeFile {
    /// The text of a file, of up to 1 MiB.
    public static func read(_ path: String) throws(UnreadableFile) -> String {
        try TextFile.read(path, limit: Configuration.fileLimit)
    }

    static func parse(_ text: String) throws(MalformedValue) -> [AliasTarget] {
        var targets: [AliasTarget] = []
        let source = SourceText(path: "", text: text)
        for number in 1...source.lineCount {
            let line = source.line(number).drop { $0 == " " || $0 == "\t" }
            guard let first = line.first, first != "#" else { continue }
            do { targets += try AliasValue.parse(String(line)) } catch {
                throw MalformedValue("line \(number): \(error.sentence)")
            }
            guard targets.count <= Expander.widthLimit else {
                throw MalformedValue("the file has more than \(Expander.widthLimit) targets")
            }
        }
        return targets
    }
}
