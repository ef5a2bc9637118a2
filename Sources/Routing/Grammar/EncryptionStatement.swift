// Owns: `queue encryption ...`, and what its lines mean together. Refuses: reading passphrases, showing them: no error
// about these lines names a word that may be part of one.

extension Parser {
    /// `[previous] key SOURCE`, `iterations N`, `pbkdf2 each`, and the forms of smtpd.conf(5): nothing, which asks at the
    /// terminal, `KEY`, `stdin` and `-`.
    mutating func parseEncryption(_ cursor: inout Cursor, at start: Position) throws(ConfigurationError) {
        if cursor.take("previous") {
            guard cursor.take("key") else { throw cursor.error("\"key\" and where it comes from must stand here.") }
            try addPrevious(try parseSource(&cursor), cursor, at: start)
        } else if cursor.take("key") {
            try setKey(try parseSource(&cursor), cursor, at: start)
        } else if cursor.take("iterations") {
            try once("queue encryption iterations", at: start)
            let number = try cursor.number(QueueEncryption.iterationsRange, "a number of iterations")
            changeEncryption(at: start) { $0.iterations = number }
        } else if cursor.take("pbkdf2") {
            guard cursor.take("each") else { throw cursor.error("\"each\" must stand here.") }
            try once("queue encryption pbkdf2 each", at: start)
            changeEncryption(at: start) { $0.stretchesEach = true }
        } else {
            try setKey(try parseOldForm(&cursor), cursor, at: start)
        }
        guard cursor.atEnd else {
            throw cursor.error(
                "the statement ends before this. Put a passphrase with blanks or signs in quotes, and other "
                    + "settings of queue encryption on lines of their own.")
        }
    }

    private func parseOldForm(_ cursor: inout Cursor) throws(ConfigurationError) -> KeySource {
        guard !cursor.atEnd else { return .terminal }
        guard let text = cursor.current?.text, ["stdin", "-"].contains(text.lowercased()) else {
            return .literal(try parseLiteral(&cursor))
        }
        cursor.advance()
        return .standardInput
    }

    private func parseSource(_ cursor: inout Cursor) throws(ConfigurationError) -> KeySource {
        if cursor.take("file") { return .file(try cursor.path("the key")) }
        if cursor.take("stdin") { return .standardInput }
        if cursor.take("command") { return .command(HiddenText(try cursor.word("the command that prints the key"))) }
        guard cursor.take("credential") else { return .literal(try parseLiteral(&cursor)) }
        let name = try cursor.word("the credential's name")
        guard name.utf8.count <= 255, !name.utf8.contains(UInt8(ascii: "/")), name != ".", name != ".." else {
            throw cursor.error(at: cursor.previous, "a credential's name is that of a file, without a path.")
        }
        return .credential(name)
    }

    private func parseLiteral(_ cursor: inout Cursor) throws(ConfigurationError) -> HiddenText {
        guard let text = cursor.current?.text else {
            throw cursor.error("the passphrase is missing. Write it in quotes.")
        }
        guard !text.isEmpty else { throw cursor.error("the passphrase is empty. Choose one of 16 characters or more.") }
        cursor.advance()
        return HiddenText(text)
    }

    // MARK: What the lines mean together

    mutating func changeEncryption(at start: Position, _ change: (inout QueueEncryption) -> Void) {
        var encryption = configuration.queueEncryption ?? QueueEncryption()
        change(&encryption)
        configuration.queueEncryption = encryption
        if firstEncryption == nil { firstEncryption = start }
    }

    private mutating func setKey(_ source: KeySource, _ cursor: Cursor, at start: Position) throws(ConfigurationError) {
        try once("queue encryption key", at: start)
        try refuseSecondInput(source, at: start)
        changeEncryption(at: start) { $0.key = source }
        remember(source, cursor, "queue encryption key file \"/dev/null\"")
    }

    private mutating func addPrevious(
        _ source: KeySource, _ cursor: Cursor, at start: Position
    ) throws(ConfigurationError) {
        try refuseSecondInput(source, at: start)
        guard (configuration.queueEncryption?.previous.count ?? 0) < QueueEncryption.previousLimit else {
            throw error(
                at: start, "at most \(QueueEncryption.previousLimit) previous keys are possible. Remove the oldest.")
        }
        changeEncryption(at: start) { $0.previous.append(source) }
        remember(source, cursor, "queue encryption previous key file \"/dev/null\"")
    }

    private func refuseSecondInput(_ source: KeySource, at start: Position) throws(ConfigurationError) {
        guard source == .standardInput, configuration.queueEncryption?.sources.contains(source) ?? false else { return }
        throw error(at: start, "standard input gives one passphrase, and another line takes it. Name another source.")
    }

    /// Keeps where a passphrase stands: such a file must not be readable by others. A macro holds it too, in its file.
    private mutating func remember(_ source: KeySource, _ cursor: Cursor, _ substitute: String) {
        guard case .literal(let text) = source else { return }
        configuration.literalKeys.append(
            LiteralKeyPlace(
                file: sources[cursor.start.file].path, lines: cursor.start.line...cursor.end.line,
                substitute: substitute))
        for (name, value) in macros where value.contains(text.revealed) {
            guard let (start, end) = macroPlaces[name] else { continue }
            configuration.literalKeys.append(
                LiteralKeyPlace(
                    file: sources[start.file].path, lines: start.line...end.line, substitute: "\(name) = \"-\""))
        }
    }

    /// When all lines are read.
    func checkEncryption() throws(ConfigurationError) {
        guard let encryption = configuration.queueEncryption, let start = firstEncryption else { return }
        guard !encryption.sources.isEmpty else {
            throw error(
                at: start,
                "this says how the queue is sealed, and no line says with which key. Add one such as "
                    + "queue encryption key file \"/etc/pouch/key\".")
        }
        guard encryption.stretchesEach, encryption.iterations > QueueEncryption.stretchingLimit else { return }
        throw error(
            at: start,
            "with pbkdf2 each every message is worth \(encryption.iterations) iterations. "
                + "At most \(QueueEncryption.stretchingLimit) are possible then.")
    }
}
